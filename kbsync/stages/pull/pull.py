"""pull: statements from the source into the ledger, and what they mean now into facts.

A watched item's stored revision is the cursor: only items with a newer one are fetched. Each page is one transaction
(rows and revisions together), so a failed page changes nothing, and the next pull fetches it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from kbsync.domain.audit import GENESIS
from kbsync.domain.relation import Relation
from kbsync.domain.standing import Clocks
from kbsync.domain.statement import ItemHead, ItemId
from kbsync.ports import PullCounts, StatementSource
from kbsync.stages.pull.between import Between
from kbsync.stages.pull.clock import checked_time, possible, refused_time
from kbsync.stages.pull.fetch import Changed, Fetched, changed_heads, fetch_statements
from kbsync.stages.pull.names import NamesPull
from kbsync.stages.pull.observe import ObserveResult, observe_facts
from kbsync.stages.pull.watch import SUSPICIOUS_COUNT, Redirects, Watch, known_watch, poll, watch_set
from kbsync.stages.session import Run

NAMED = 100
"""So many items with impossible dates are named in the audit trail; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullResult:
    """What a pull brought."""

    watched: int
    """The number of items that were looked at."""
    fetched: int
    """Items that had a new revision."""
    statements: PullCounts
    observed: int
    """Facts that changed."""
    believed: int
    """Facts that became trusted."""
    waiting: int
    """Facts that are observed and not yet trusted."""
    server_time: datetime
    """The time up to which the source knew Wikidata."""
    joined: int = 0
    """Members that the relations' patterns found and that were not known before."""
    left: int = 0
    """Known members that the patterns no longer find."""
    unasked: tuple[str, ...] = ()
    """Relations whose pattern the source could not answer; their known members are kept."""
    impossible: tuple[ItemId, ...] = ()
    """Items that the source says were changed at a time that has not come yet; they stay as they were."""

    late: tuple[ItemId, ...] = ()
    """Items that the source gave in an older state than it had named a moment before; what waits of them comes no
    closer to being trusted."""
    again: int = 0
    """Items without a new revision that were read once more, because an older kbsync did not read their dates as
    their pages show them."""

    @property
    def nothing_new(self) -> bool:
        """Whether neither items nor facts changed."""
        return not (self.fetched or self.again or self.observed or self.believed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsPulled:
    """A pull of some items."""

    result: PullResult
    heads: Mapping[ItemId, ItemHead]
    """What the source says of them and of what they lead to."""
    moved: frozenset[ItemId]
    """Which of these had changed."""


def pull(
    run: Run,
    source: StatementSource,
    relations: Sequence[Relation],
    *,
    group: Sequence[Relation] | None = None,
    accept_deletions: bool = False,
    accept_time: bool = False,
) -> PullResult:
    """Bring the ledger up to the source.

    Args:
        run: Must hold the puller's lease.
        source: Where statements come from.
        relations: All watched relations. Whatever they watch of a fetched item is fetched, also when only ``group`` is
            looked at, because the item's one revision is the cursor for all of them.
        group: Look only at the subjects of these relations, and observe only their facts.
        accept_deletions: Believe the source even where it says that suspiciously much is gone.
        accept_time: Believe the source even where it says that it knows less than the ledger.

    Raises:
        SourceDown: The source can't answer, or knows less than the ledger. Finished pages are kept.
        SourceError: The source's answer is wrong, its time has not come yet, or suspiciously much is gone. Finished
            pages are kept.
    """
    polled, whole = (relations, True) if group is None else (group, False)
    properties = sorted(relation.property for relation in relations)
    server_time = source.server_time()
    clocks = checked_time(run, source.name, server_time, accept=accept_time)
    between = Between(source, properties)
    watch = watch_set(run, source, polled, server_time, accept=accept_deletions)
    heads, impossible = _poll(run, source, watch.items, clocks)
    redirects = Redirects()
    redirects.note(heads)

    changed = changed_heads(run, source.name, watch, heads, redirects, accept=accept_deletions)
    names = NamesPull(run, source, relations, clocks, between)
    fetched = fetch_statements(
        run, source, changed.heads, properties, names, known=changed.known, accept=accept_deletions
    )
    unseen = fetched.late.union(impossible)
    names.fetch(polled, watch, redirects, heads, unseen=unseen, whole=whole)
    observed = observe_facts(run, source.name, polled, watch, redirects, clocks, between, unseen=unseen, whole=whole)
    result = _result(watch, changed, fetched, observed, server_time, impossible)
    _record_pull(run, source.name, result)
    return result


def pull_items(
    run: Run,
    source: StatementSource,
    relations: Sequence[Relation],
    items: Sequence[ItemId],
    server_time: datetime,
    *,
    edited: Set[ItemId] = frozenset(),
) -> ItemsPulled:
    """Bring some watched items up to the source; no watermark moves.

    The subjects whose facts their statements tell, by an old or a new redirect, are looked at as well. Nothing grows
    older of what the source was not asked for, or contradicts itself in.

    Args:
        run: Must hold the puller's lease.
        source: Where statements come from.
        server_time: The source's time, as it said a moment ago.
        edited: Items that were edited a moment ago. That such an item is deleted contradicts the edit, so it is left as
            it was.

    Raises:
        SourceDown: As ``pull``.
        SourceError: As ``pull``.
    """
    properties = sorted(relation.property for relation in relations)
    clocks = checked_time(run, source.name, server_time, accept=False)
    between = Between(source, properties)
    with run.ledger.read() as tx:
        watch, before = known_watch(tx, relations), Redirects(tx.redirects())
    heads, impossible = _poll(run, source, items, clocks)
    redirects = Redirects(dict(before.targets))
    redirects.note(heads)
    if further := sorted(_sharing_statements(items, before, redirects) - heads.keys()):
        more, wrong = _poll(run, source, further, clocks)
        heads, impossible = heads | more, tuple(sorted({*impossible, *wrong}))
    heads = {item: head for item, head in heads.items() if not (head.deleted and item in edited)}
    redirects = Redirects(dict(before.targets))
    redirects.note(heads)
    nearby = _sharing_statements(items, before, redirects)
    subjects = {prop: [s for s in watched if s in nearby] for prop, watched in watch.subjects.items()}
    narrow = replace(watch, subjects=subjects)

    at_least = SUSPICIOUS_COUNT + 1
    changed = changed_heads(run, source.name, narrow, heads, redirects, accept=False, at_least=at_least)
    names = NamesPull(run, source, relations, clocks, between)
    fetched = fetch_statements(run, source, changed.heads, properties, names, known=changed.known, accept=False)
    unseen = fetched.late.union(impossible, nearby - heads.keys())
    names.fetch(relations, narrow, redirects, heads, unseen=unseen, whole=False)
    observed = observe_facts(run, source.name, relations, watch, redirects, clocks, between, unseen=unseen, only=nearby)
    result = _result(narrow, changed, fetched, observed, server_time, impossible)
    _record_pull(run, source.name, result)
    return ItemsPulled(result=result, heads=heads, moved=frozenset(head.id for head in changed.heads))


def _sharing_statements(items: Sequence[ItemId], before: Redirects, now: Redirects) -> set[ItemId]:
    """The items, what they led or lead to, and all redirects that led or lead to any of these."""
    targets = {end for item in items for end in (item, before.resolve(item), now.resolve(item))}
    redirects = before.targets.keys() | now.targets.keys()
    return targets | {item for item in redirects if {before.resolve(item), now.resolve(item)} & targets}


def _poll(
    run: Run, source: StatementSource, items: Sequence[ItemId], now: Clocks
) -> tuple[dict[ItemId, ItemHead], tuple[ItemId, ...]]:
    """The heads that can be, and the items whose heads can't."""
    heads = poll(run, source, items)
    with run.ledger.read() as tx:
        return possible(tx, heads, now)


def _result(
    watch: Watch,
    changed: Changed,
    fetched: Fetched,
    observed: ObserveResult,
    server_time: datetime,
    impossible: tuple[ItemId, ...],
) -> PullResult:
    return PullResult(
        watched=len(watch.items),
        fetched=len(changed.heads) - changed.again,
        statements=fetched.counts,
        observed=observed.observed,
        believed=observed.believed,
        waiting=observed.waiting,
        server_time=server_time,
        joined=watch.joined,
        left=watch.left,
        unasked=watch.unasked,
        impossible=impossible,
        late=tuple(sorted(fetched.late)),
        again=changed.again,
    )


def _record_pull(run: Run, source: str, result: PullResult) -> None:
    """Write the audit event, with the head of the statement history; it covers what a killed pull left out, too."""
    with run.ledger.write() as tx:
        before, head = tx.newest_event("pull"), tx.history_head()
        recorded = GENESIS if before is None else before.body.get("history")
        wrong: dict[str, Any] = {"impossible": list(result.impossible[:NAMED])} if result.impossible else {}
        wrong |= {"impossible_items": len(result.impossible)} if len(result.impossible) > NAMED else {}
        same = before is not None and {k: v for k, v in before.body.items() if k.startswith("impossible")} == wrong
        if result.nothing_new and recorded == head and same and refused_time(tx) is None:
            return
        body = {"source": source, "fetched": result.fetched, "observed": result.observed, "believed": result.believed}
        body |= {"server_time": result.server_time, "history": head}
        body |= {"again": result.again} if result.again else {}
        body |= wrong
        tx.append_audit("pull", run.actor, body, run.clock.now())
