"""pull: statements from the source into the ledger, and what they mean now into facts.

A watched item's stored revision is the cursor: only items that moved past it are fetched. Each page is one
transaction (rows and revisions together), so a failed page changes nothing and the next pull fetches it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from kbsync.domain.audit import GENESIS
from kbsync.domain.errors import SourceDown
from kbsync.domain.naming import mentioned_items
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId
from kbsync.ports import LedgerReader, PullCounts, StatementSource
from kbsync.stages.pull.observe import ObserveResult, observe_facts
from kbsync.stages.pull.watch import (
    SUSPICIOUS_COUNT,
    Redirects,
    Watch,
    known_watch,
    poll,
    refuse_at_once,
    suspicious,
    watch_set,
)
from kbsync.stages.session import Run

BATCH = 200
LABELS_REFRESH = timedelta(days=7)
"""How long the names of objects may be out of date; those of subjects come with their revisions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullResult:
    """``fetched`` items of ``watched`` had a new revision; ``observed`` facts changed, ``believed`` became trusted,
    ``waiting`` are observed and not yet trusted; ``joined`` and ``left`` members of the relations' patterns;
    ``unasked`` relations' patterns the source could not answer, and their known members stand."""

    watched: int
    fetched: int
    statements: PullCounts
    observed: int
    believed: int
    waiting: int
    server_time: datetime
    joined: int = 0
    left: int = 0
    unasked: tuple[str, ...] = ()

    @property
    def nothing_new(self) -> bool:
        return not (self.fetched or self.observed or self.believed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsPulled:
    """A look at some items: ``heads`` of them and of what they lead to, and which of these ``moved`` past the ledger."""

    result: PullResult
    heads: Mapping[ItemId, ItemHead]
    moved: frozenset[ItemId]


def pull(
    run: Run,
    source: StatementSource,
    relations: Sequence[Relation],
    *,
    group: Sequence[Relation] | None = None,
    accept_deletions: bool = False,
) -> PullResult:
    """Bring the ledger up to the source. Raises ``SourceDown`` and ``SourceError``; finished pages stay.

    ``group``: look at the subjects of these relations only, and observe_facts their facts. What is fetched of an item is all
    that ``relations`` watch of it even so, because its one revision is the cursor for all of them.
    ``accept_deletions``: believe the source even where it says that a suspicious lot is gone.
    """
    polled, whole = (relations, True) if group is None else (group, False)
    properties = sorted(relation.property for relation in relations)
    server_time = source.server_time()
    _refuse_going_back(run, source.name, server_time)
    watch = watch_set(run, source, polled, server_time, accept=accept_deletions)
    heads = poll(run, source, watch.items)
    redirects = Redirects()
    redirects.note(heads)

    changed, known = _changed(run, source.name, watch, heads, redirects, accept=accept_deletions)
    counts = _fetch(run, source, changed, properties, known=known, accept=accept_deletions)
    _fetch_object_labels(run, source, polled, watch, redirects, server_time, whole=whole)
    derived = observe_facts(run, source.name, polled, watch, redirects, server_time, whole=whole)
    result = _result(watch, changed, counts, derived, server_time)
    _tell(run, source.name, result)
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
    """Bring these watched items up to the source, which said ``server_time`` a moment ago; no watermark moves.

    With them go the subjects whose facts their statements tell, by a redirect of before or of now. That one of
    ``edited`` is deleted contradicts the edit: it is left as it was. Raises as ``pull``.
    """
    properties = sorted(relation.property for relation in relations)
    _refuse_going_back(run, source.name, server_time)
    with run.ledger.read() as tx:
        watch, before = known_watch(tx, relations), Redirects(tx.redirects())
    heads = {item: head for item, head in poll(run, source, items).items() if not (head.deleted and item in edited)}
    redirects = Redirects(dict(before.targets))
    redirects.note(heads)
    told = {end for item in items for end in (item, before.resolve(item), redirects.resolve(item))}
    led = before.targets.keys() | redirects.targets.keys()
    near = told | {item for item in led if {before.resolve(item), redirects.resolve(item)} & told}
    narrow = replace(watch, subjects={p: [s for s in all_of if s in near] for p, all_of in watch.subjects.items()})

    changed, known = _changed(run, source.name, narrow, heads, redirects, accept=False, few=SUSPICIOUS_COUNT + 1)
    counts = _fetch(run, source, changed, properties, known=known, accept=False)
    _fetch_object_labels(run, source, relations, narrow, redirects, server_time, whole=False)
    derived = observe_facts(run, source.name, relations, watch, redirects, server_time, only=near)
    result = _result(narrow, changed, counts, derived, server_time)
    _tell(run, source.name, result)
    return ItemsPulled(result=result, heads=heads, moved=frozenset(head.id for head in changed))


def _result(
    watch: Watch, changed: Sequence[ItemHead], counts: PullCounts, derived: ObserveResult, server_time: datetime
) -> PullResult:
    return PullResult(
        watched=len(watch.items),
        fetched=len(changed),
        statements=counts,
        observed=derived.observed,
        believed=derived.believed,
        waiting=derived.waiting,
        server_time=server_time,
        joined=watch.joined,
        left=watch.left,
        unasked=watch.unasked,
    )


def _tell(run: Run, source: str, result: PullResult) -> None:
    """Into the audit trail, with the head of the statement history; also what a killed pull could not tell any more."""
    with run.ledger.write() as tx:
        before, head = tx.newest_event("pull"), tx.history_head()
        told = GENESIS if before is None else before.body.get("history")
        if result.nothing_new and told == head:
            return
        body = {"source": source, "fetched": result.fetched, "observed": result.observed, "believed": result.believed}
        body |= {"server_time": result.server_time, "history": head}
        tx.append_audit("pull", run.actor, body, run.clock.now())


def _refuse_going_back(run: Run, source: str, server_time: datetime) -> None:
    with run.ledger.read() as tx:
        mark = tx.watermark(source)
    if mark is not None and server_time < mark:
        raise SourceDown(
            f"The source knows Wikidata up to {server_time}, the ledger already up to {mark}.",
            kept="The ledger is unchanged.",
            next_step="It is lagging or was restored; the next pull tries again.",
        )


def _changed(
    run: Run,
    source: str,
    watch: Watch,
    heads: Mapping[ItemId, ItemHead],
    redirects: Redirects,
    *,
    accept: bool,
    few: int = 0,
) -> tuple[list[ItemHead], int]:
    """Heads past the stored ones, and all subjects of a property that was never pulled, with what they lead to; and
    how many items are known at all (at least ``few``: of two that were asked for, two may be gone)."""
    with run.ledger.read() as tx:
        stored = tx.heads(list(heads))
        fresh = {
            item
            for prop, subjects in watch.subjects.items()
            if tx.watermark(f"{source}/{prop}") is None
            for subject in subjects
            for item in (subject, redirects.resolve(subject))
        }
    there = [h for h in stored.values() if not h.deleted]
    known, vanished = max(few, len(there)), sum(heads[h.id].deleted for h in there)
    if suspicious(vanished, known) and not accept:
        raise refuse_at_once(f"{vanished} of {len(there)} known items are missing from the source")
    changed = [head for item, head in sorted(heads.items()) if item in fresh or _moved(head, stored.get(item))]
    return changed, known


def _moved(head: ItemHead, stored: ItemHead | None) -> bool:
    if stored is None:
        return True
    if head.deleted or stored.deleted:
        return head.deleted != stored.deleted
    return head.revision > stored.revision or head.redirect_to != stored.redirect_to


def _fetch(
    run: Run,
    source: StatementSource,
    changed: list[ItemHead],
    properties: list[PropertyId],
    *,
    known: int,
    accept: bool,
) -> PullCounts:
    """Record what changed, page by page.

    Items that the poll knew and that the fetch does not are left for the next pull: one of the two answers is wrong.
    Items that come back without the statements that the ledger holds are recorded last, and only if they are few: an
    endpoint that is being loaded knows revisions before it knows statements.
    """
    counts, contradicted = PullCounts(), 0
    emptied: list[ItemRecord] = []
    run.work.start("pull statements", len(changed))
    gone = [h for h in changed if h.deleted]
    for start in range(0, len(gone), BATCH):
        page = [ItemRecord(head=h, labels=Labels(item=h.id, label=None)) for h in gone[start : start + BATCH]]
        counts += _record(run, page, properties)
    for page in source.records([h.id for h in changed if not h.deleted], properties):
        present = [record for record in page if not record.head.deleted]
        contradicted += len(page) - len(present)
        lost = _lost(run, present, properties)
        emptied += [record for record in present if record.head.id in lost]
        counts += _record(run, [record for record in present if record.head.id not in lost], properties)
    if suspicious(len(emptied), known) and not accept:
        raise refuse_at_once(f"{len(emptied)} of {known} known items have lost all their statements")
    counts += _record(run, emptied, properties)
    run.work.finish()
    if contradicted:
        raise SourceDown(
            f"{contradicted} items had a revision when they were polled and were missing a moment later.",
            kept="Finished pages are kept; these items stay as they were.",
            next_step="The next pull looks again.",
        )
    return counts


def _lost(run: Run, page: Sequence[ItemRecord], properties: Sequence[PropertyId]) -> set[ItemId]:
    """Items of the page that have no watched statement any more, while the ledger holds some."""
    bare = [r.head.id for r in page if not r.statements and not r.head.redirect_to]
    if not bare:
        return set()
    with run.ledger.read() as tx:
        return {item for prop in properties for item in tx.statements_of(prop, bare)}


def _record(run: Run, page: list[ItemRecord], properties: list[PropertyId]) -> PullCounts:
    if not page:
        return PullCounts()
    with run.ledger.write() as tx:
        counts = tx.record_items(page, properties, run.clock.now())
    run.work.advance(len(page))
    return counts


def _fetch_object_labels(
    run: Run,
    source: StatementSource,
    relations: Sequence[Relation],
    watch: Watch,
    redirects: Redirects,
    server_time: datetime,
    *,
    whole: bool,
) -> None:
    """Names of objects and units that the ledger can't name yet, and in ``whole`` pulls of all of them every
    ``LABELS_REFRESH``."""
    mark = f"{source.name}/labels"
    with run.ledger.read() as tx:
        objects = _objects(tx, relations, watch, redirects)
        named = {item for item, entry in tx.labels(sorted(objects)).items() if entry.label}
        last = tx.watermark(mark)
    whole = whole and (last is None or server_time - last >= LABELS_REFRESH)
    missing = sorted(objects if whole else objects - named)
    run.work.start("pull labels", len(missing))
    for page in source.labels(missing):
        with run.ledger.write() as tx:
            tx.record_labels([entry for entry in page if entry.label or entry.item not in named])
        run.work.advance(len(page))
    run.work.finish()
    if whole:
        with run.ledger.write() as tx:
            tx.set_watermark(mark, server_time)


def _objects(tx: LedgerReader, relations: Sequence[Relation], watch: Watch, redirects: Redirects) -> set[ItemId]:
    found: set[ItemId] = set()
    for relation in relations:
        told = sorted({redirects.resolve(subject) for subject in watch.subjects[relation.property]})
        for statements in tx.statements_of(relation.property, told).values():
            found.update(item for s in statements if s.value is not None for item in mentioned_items(s.value))
    return found
