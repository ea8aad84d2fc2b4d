"""From the ledger's statements to facts: what they say now, and how far that may be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.fact import FactKey, FactRecord, FactState, observe, settle
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, Labels
from kbsync.ports import LedgerTransaction
from kbsync.stages.pull.watch import Redirects, Watch, members_mark
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveResult:
    """``observed`` facts changed, ``believed`` became trusted, ``waiting`` are observed and not yet trusted."""

    observed: int
    believed: int
    waiting: int


def observe_facts(
    run: Run,
    source: str,
    relations: Sequence[Relation],
    watch: Watch,
    redirects: Redirects,
    server_time: datetime,
    *,
    whole: bool = True,
    only: Set[ItemId] | None = None,
) -> ObserveResult:
    """Observe and settle every watched fact; facts, members and watermarks are one transaction.

    All of them, not only the fetched items': trust grows with time alone, and so do statements begin and end.
    ``whole``: these are all relations, so the source's own watermark moves, too. ``only``: the facts of these subjects
    and no others; then no watermark moves.
    """
    observed = believed = waiting = 0
    now = run.clock.now()
    with run.ledger.write() as tx:
        decisions = tx.decisions()
        for relation in relations:
            subjects = watch.subjects[relation.property]
            looked_at = subjects if only is None else [subject for subject in subjects if subject in only]
            before = _stored(tx, relation, None if only is None else looked_at)
            _name_redirects(tx, looked_at, redirects)
            after = _records(tx, relation, looked_at, redirects, redirects.holders(subjects), before, decisions, now)
            tx.put_facts([record for record in after if record != before.get(record.key)])
            observed += sum(_observed_hash(before.get(r.key)) != r.observed.value_hash for r in after)
            believed += sum(_believed_hash(before.get(r.key)) != _believed_hash(r) for r in after)
            waiting += sum(r.pending for r in after)
        if only is None:
            _move_watermarks(tx, source, relations, watch, server_time, whole=whole)
    return ObserveResult(observed=observed, believed=believed, waiting=waiting)


def _move_watermarks(
    tx: LedgerTransaction,
    source: str,
    relations: Sequence[Relation],
    watch: Watch,
    server_time: datetime,
    *,
    whole: bool,
) -> None:
    for relation in relations:
        tx.set_watermark(f"{source}/{relation.property}", server_time)
        if relation.property in watch.members:
            tx.set_members(relation.property, watch.members[relation.property], server_time)
            tx.set_watermark(members_mark(source, relation), server_time)
    if whole:
        tx.set_watermark(source, server_time)


def _stored(tx: LedgerTransaction, relation: Relation, subjects: Sequence[ItemId] | None) -> dict[FactKey, FactRecord]:
    """The relation's records (of ``subjects``; None: all)."""
    if subjects is None:
        return {record.key: record for record in tx.facts(relation.property)}
    keys = (FactKey(subject, relation.property) for subject in subjects)
    return {key: record for key in keys if (record := tx.fact(key))}


def _records(
    tx: LedgerTransaction,
    relation: Relation,
    subjects: Sequence[ItemId],
    redirects: Redirects,
    holders: Mapping[ItemId, ItemId],
    before: Mapping[FactKey, FactRecord],
    decisions: Mapping[FactKey, Decision],
    now: datetime,
) -> list[FactRecord]:
    """The fact records of ``subjects`` as of ``now``; of subjects no longer watched, the old record stays as it is.

    A redirected subject keeps its fact, which the statements of the item that it leads to now tell; only where
    another watched subject tells the same (``holders``), it has none.
    """
    targets = {redirects.resolve(subject) for subject in subjects}
    heads = tx.heads(sorted({*subjects, *targets}))
    statements = tx.statements_of(relation.property, sorted(targets))
    records = []
    for subject in subjects:
        key, target = FactKey(subject, relation.property), redirects.resolve(subject)
        stored, head = before.get(key), heads.get(target) or heads.get(subject)
        if head is None:
            continue
        held = statements.get(target, []) if holders[target] == subject else []
        state = observe(
            held,
            relation.cardinality,
            revision=head.revision,
            since=_since(head, now),
            now=now,
            kind=relation.answer,
        )
        record = FactRecord(
            key=key,
            observed=_continue(stored.observed, state, now) if stored else state,
            believed=stored.believed if stored else None,
            believed_at=stored.believed_at if stored else None,
        )
        decided = decisions.get(key)
        pinned = decided is not None and decided.kind is DecisionKind.PIN and record.believed is not None
        records.append(record if pinned else settle(record, relation.trust, now))
    return records


def _name_redirects(tx: LedgerTransaction, subjects: Sequence[ItemId], redirects: Redirects) -> None:
    """A redirected subject goes by the name of the item that it leads to."""
    led = {s: target for s in subjects if (target := redirects.resolve(s)) != s}
    names = tx.labels(sorted({*led, *led.values()}))
    fresh = [
        Labels(item=subject, label=names[target].label, aliases=names[target].aliases)
        for subject, target in led.items()
        if target in names and names[target].label
    ]
    tx.record_labels([entry for entry in fresh if names.get(entry.item) != entry])


def _since(head: ItemHead, now: datetime) -> datetime:
    return min(now, head.modified) if head.modified else now


def _continue(stored: FactState, state: FactState, now: datetime) -> FactState:
    """Keep the moment since when the values stand; a change that no revision brought began now."""
    if stored.value_hash == state.value_hash:
        return replace(state, since=stored.since, revision=stored.revision)
    return state if state.revision > stored.revision else replace(state, since=now)


def _observed_hash(record: FactRecord | None) -> str | None:
    return record.observed.value_hash if record else None


def _believed_hash(record: FactRecord | None) -> str | None:
    return record.believed.value_hash if record and record.believed else None
