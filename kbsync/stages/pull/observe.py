"""From the ledger's statements to facts: what they say now, and how far it may be believed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime

from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.fact import FactKey, FactRecord, began, observe, settle
from kbsync.domain.naming import Names, items_of
from kbsync.domain.relation import Relation
from kbsync.domain.standing import Clocks, Origin, Unbroken, changed, found, seen, unchanged
from kbsync.domain.statement import ItemHead, ItemId, PropertyId, Statement
from kbsync.ports import FactReader, NameReader, StatementReader, StatementWriter
from kbsync.stages.pull.again import note_read
from kbsync.stages.pull.between import Between
from kbsync.stages.pull.names import origin_of
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
    now: Clocks,
    between: Between,
    *,
    unseen: Collection[ItemId] = (),
    whole: bool = True,
    only: Set[ItemId] | None = None,
) -> ObserveResult:
    """Observe and settle every watched fact; facts, members and watermarks are written in one transaction.

    This is done for all facts, not only for those of fetched items, because trust grows and statements begin and end by
    the passing of time alone.

    Args:
        source: The source's name.
        now: The source's time becomes the watermark.
        between: What the source knows of the revisions since the last look at facts that wait.
        unseen: Items of which the source said nothing that can be: their facts grow no older by this pull.
        whole: These are all relations, so the source's own watermark moves, too.
        only: Observe the facts of these subjects alone, and move no watermark (None: all subjects).
    """
    holders = {r.property: redirects.holders(watch.subjects[r.property]) for r in relations}
    _ask_between(run, relations, redirects, holders, between, only)
    observed = believed = waiting = 0
    with run.ledger.write() as tx:
        decisions = tx.decisions()
        for relation in relations:
            subjects = watch.subjects[relation.property]
            chosen = subjects if only is None else [subject for subject in subjects if subject in only]
            before = _stored(tx, relation, None if only is None else chosen)
            look = _Look(
                relation=relation,
                redirects=redirects,
                holders=holders[relation.property],
                now=now,
                unbroken=between.of(relation.property),
                first=tx.watermark(f"{source}/{relation.property}") is None,
                anew=frozenset(watch.members.get(relation.property, ())).difference(
                    tx.members(relation.property), relation.subjects
                ),
                unseen=unseen,
            )
            after = _with_names(tx, relation, _records(tx, look, chosen, before, decisions))
            tx.put_facts([record for record in after if record != before.get(record.key)])
            observed += sum(_observed_hash(before.get(r.key)) != r.observed.value_hash for r in after)
            believed += sum(_believed_hash(before.get(r.key)) != _believed_hash(r) for r in after)
            waiting += sum(r.pending for r in after)
        if only is None:
            _move_watermarks(tx, source, relations, watch, now.there, whole=whole)
    return ObserveResult(observed=observed, believed=believed, waiting=waiting)


def _ask_between(
    run: Run,
    relations: Sequence[Relation],
    redirects: Redirects,
    holders: Mapping[PropertyId, Mapping[ItemId, ItemId]],
    between: Between,
    only: Set[ItemId] | None,
) -> None:
    """Ask what lies between the last look at facts that wait and this one."""
    with run.ledger.read() as tx:
        waiting = [
            record
            for relation in relations
            for record in tx.waiting(relation.property)
            if only is None or record.key.subject in only
        ]
        paths = {r.key: redirects.path(r.key.subject, holders[r.key.property]) for r in waiting}
        heads = tx.heads(sorted({item for path in paths.values() for item in path}))
    for record in waiting:
        path = paths[record.key]
        between.ask(record.observed.origin, origin_of(path, heads, believed=_believed_way(record, path))[0])


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
    note_read(tx, source, [relation.property for relation in relations])
    if whole:
        tx.set_watermark(source, server_time)


def _stored(tx: FactReader, relation: Relation, subjects: Sequence[ItemId] | None) -> dict[FactKey, FactRecord]:
    """The relation's records (of ``subjects``; None: all)."""
    if subjects is None:
        return {record.key: record for record in tx.facts(relation.property)}
    keys = (FactKey(subject, relation.property) for subject in subjects)
    return {key: record for key in keys if (record := tx.fact(key))}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Look:
    """How the facts of one relation are looked at."""

    relation: Relation
    redirects: Redirects
    holders: Mapping[ItemId, ItemId]
    """By item that subjects lead to, the subject that holds its fact."""
    now: Clocks
    unbroken: Unbroken
    first: bool
    """The relation was never pulled before."""
    anew: frozenset[ItemId]
    """What the relation's pattern finds now and did not find at the last look."""
    unseen: Collection[ItemId]


def _records(
    tx: StatementReader,
    look: _Look,
    subjects: Sequence[ItemId],
    before: Mapping[FactKey, FactRecord],
    decisions: Mapping[FactKey, Decision],
) -> list[FactRecord]:
    """The fact records of ``subjects`` as of now.

    A redirected subject keeps its fact, which it takes from the statements of the item that it leads to. Only where
    another watched subject has the same statements (see ``Redirects.holders``), its fact has no value.
    """
    relation = look.relation
    paths = {subject: look.redirects.path(subject, look.holders) for subject in subjects}
    heads = tx.heads(sorted({item for path in paths.values() for item in path}))
    # A path ends where the statements are, whoever holds the fact.
    statements = tx.statements_of(relation.property, sorted({path[-1] for path in paths.values()}))
    records = []
    for subject, path in paths.items():
        key, target = FactKey(subject, relation.property), path[-1]
        head = heads.get(target) or heads.get(subject)
        if any(item in look.unseen for item in path):
            records += [before[key]] if key in before else []
            continue
        if head is None:
            continue
        held = statements.get(target, []) if look.holders[target] == subject else []
        read_from = origin_of(path, heads, believed=_believed_way(before.get(key), path))
        record = _observed(look, key, before.get(key), held, head, read_from)
        decision = decisions.get(key)
        pinned = decision is not None and decision.kind is DecisionKind.PIN and record.believed is not None
        records.append(record if pinned else settle(record, relation.trust, look.now))
    return records


def _believed_way(record: FactRecord | None, path: Sequence[ItemId]) -> bool:
    """Whether what is believed was read by the same redirects."""
    if record is None or record.believed is None:
        return False
    return [item for item, _ in record.believed.origin] == list(path)


def _observed(
    look: _Look,
    key: FactKey,
    stored: FactRecord | None,
    statements: list[Statement],
    head: ItemHead,
    read_from: tuple[Origin, datetime | None],
) -> FactRecord:
    """The record with what its statements say now, and with how long they have said it.

    A subject that a pattern has found anew was not looked at before, so what it says is a change, however old it is;
    and so is that another subject, which was found anew, holds the fact instead.
    """
    relation, now, (origin, edited) = look.relation, look.now, read_from
    if edited is not None:
        edited = began(statements, relation.cardinality, now.here, edited) or edited
    known = stored is not None or key.subject in relation.subjects
    expected = look.first or (known and look.anew.isdisjoint((key.subject, look.holders[origin[-1][0]])))
    standing = found(origin, edited, now) if expected else changed(origin, edited, now)
    state = observe(
        statements,
        relation.cardinality,
        revision=head.revision,
        since=standing.here,
        now=now.here,
        kind=relation.answer,
    ).standing_as(standing)
    if stored is None:
        return FactRecord(key=key, observed=state, believed=None)
    same = stored.observed.value_hash == state.value_hash
    if same and not stored.pending:  # whatever happened in between, it is what is believed
        state = state.standing_as(unchanged(stored.observed.standing, origin, now))
    elif expected:
        standing = seen(
            stored.observed.standing, same=same, origin=origin, edited=edited, now=now, unbroken=look.unbroken
        )
        state = state.standing_as(standing)
    revision = stored.observed.revision if same else state.revision
    return replace(stored, observed=replace(state, revision=revision))


def _with_names(tx: NameReader, relation: Relation, records: Sequence[FactRecord]) -> list[FactRecord]:
    """The records with the hash of the names by which they are asked and judged."""
    items = {item for record in records if record.believed for item in items_of(record.key, record.believed)}
    names = Names(tx.labels(sorted(items)), relation.language)
    return [
        replace(r, names_hash=names.fact(r.key, r.believed).names_hash) if r.believed and r.believed.values else r
        for r in records
    ]


def _observed_hash(record: FactRecord | None) -> str | None:
    return record.observed.value_hash if record else None


def _believed_hash(record: FactRecord | None) -> str | None:
    return record.believed.value_hash if record and record.believed else None
