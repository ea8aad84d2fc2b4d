"""From the ledger's statements to facts: what they say now, and how far it may be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.fact import FactKey, FactRecord, FactState, observe, settle
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, Labels
from kbsync.ports import FactReader, StatementReader, StatementWriter
from kbsync.stages.pull.watch import Redirects, Watch, members_mark
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class ObserveResult:
    """Numbers of facts."""

    observed: int
    """What is observed of them has changed."""
    believed: int
    """What is believed of them has changed."""
    waiting: int
    """Something is observed of them that is not trusted yet."""


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
    """Observe and settle every watched fact; facts, members and watermarks are written in one transaction.

    This is done for all facts, not only for those of fetched items, because trust grows and statements begin and end by
    the passing of time alone.

    Args:
        source: The source's name.
        server_time: The source's time, which becomes the watermark.
        whole: These are all relations, so the source's own watermark moves, too.
        only: Observe the facts of these subjects alone, and move no watermark (None: all subjects).
    """
    observed = believed = waiting = 0
    now = run.clock.now()
    with run.ledger.write() as tx:
        decisions = tx.decisions()
        for relation in relations:
            subjects = watch.subjects[relation.property]
            chosen = subjects if only is None else [subject for subject in subjects if subject in only]
            before = _stored(tx, relation, None if only is None else chosen)
            _name_redirects(tx, chosen, redirects)
            after = _records(tx, relation, chosen, redirects, redirects.holders(subjects), before, decisions, now)
            tx.put_facts([record for record in after if record != before.get(record.key)])
            observed += sum(_observed_hash(before.get(r.key)) != r.observed.value_hash for r in after)
            believed += sum(_believed_hash(before.get(r.key)) != _believed_hash(r) for r in after)
            waiting += sum(r.pending for r in after)
        if only is None:
            _move_watermarks(tx, source, relations, watch, server_time, whole=whole)
    return ObserveResult(observed=observed, believed=believed, waiting=waiting)


def _move_watermarks(
    tx: StatementWriter,
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


def _stored(tx: FactReader, relation: Relation, subjects: Sequence[ItemId] | None) -> dict[FactKey, FactRecord]:
    """The relation's records (of ``subjects``; None: all)."""
    if subjects is None:
        return {record.key: record for record in tx.facts(relation.property)}
    keys = (FactKey(subject, relation.property) for subject in subjects)
    return {key: record for key in keys if (record := tx.fact(key))}


def _records(
    tx: StatementReader,
    relation: Relation,
    subjects: Sequence[ItemId],
    redirects: Redirects,
    holders: Mapping[ItemId, ItemId],
    before: Mapping[FactKey, FactRecord],
    decisions: Mapping[FactKey, Decision],
    now: datetime,
) -> list[FactRecord]:
    """The fact records of ``subjects`` as of ``now``.

    A redirected subject keeps its fact, which it takes from the statements of the item that it leads to. Only where
    another watched subject has the same statements (see ``Redirects.holders``), its fact has no value.
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
        state = observe(
            statements.get(target, []) if holders[target] == subject else [],
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
        decision = decisions.get(key)
        pinned = decision is not None and decision.kind is DecisionKind.PIN and record.believed is not None
        records.append(record if pinned else settle(record, relation.trust, now))
    return records


def _name_redirects(tx: StatementWriter, subjects: Sequence[ItemId], redirects: Redirects) -> None:
    """Give a redirected subject the labels of the item that it leads to."""
    targets = {s: target for s in subjects if (target := redirects.resolve(s)) != s}
    labels = tx.labels(sorted({*targets, *targets.values()}))
    wanted = [
        Labels(item=subject, label=labels[target].label, aliases=labels[target].aliases)
        for subject, target in targets.items()
        if target in labels and labels[target].label
    ]
    tx.record_labels([entry for entry in wanted if labels.get(entry.item) != entry])


def _since(head: ItemHead, now: datetime) -> datetime:
    return min(now, head.modified) if head.modified else now


def _continue(stored: FactState, state: FactState, now: datetime) -> FactState:
    """Keep the moment since when the values are unchanged; a change that came without a new revision begins now."""
    if stored.value_hash == state.value_hash:
        return replace(state, since=stored.since, revision=stored.revision)
    return state if state.revision > stored.revision else replace(state, since=now)


def _observed_hash(record: FactRecord | None) -> str | None:
    return record.observed.value_hash if record else None


def _believed_hash(record: FactRecord | None) -> str | None:
    return record.believed.value_hash if record and record.believed else None
