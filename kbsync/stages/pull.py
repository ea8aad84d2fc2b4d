"""pull: statements from the source into the ledger, and what they mean now into facts.

A watched item's stored revision is the cursor: only items that moved past it are fetched. Each page is one
transaction (rows and revisions together), so a failed page changes nothing and the next pull fetches it again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from kbsync.domain.audit import GENESIS
from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.fact import FactKey, FactRecord, FactState, observe, settle
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId, ValueKind
from kbsync.ports import LedgerTransaction, PullCounts, StatementSource
from kbsync.stages.run import Run

BATCH = 200
MASS_DELETION = 0.2
"""More than this share of the known items gone at once is taken for a broken source, not for news."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PullResult:
    """``fetched`` items of ``watched`` had a new revision; ``observed`` facts changed, ``believed`` became trusted,
    ``waiting`` are observed and not yet trusted."""

    watched: int
    fetched: int
    statements: PullCounts
    observed: int
    believed: int
    waiting: int
    server_time: datetime

    @property
    def nothing_new(self) -> bool:
        return not (self.fetched or self.observed or self.believed)


def pull(
    run: Run, source: StatementSource, relations: Sequence[Relation], *, group: Sequence[Relation] | None = None
) -> PullResult:
    """Bring the ledger up to the source. Raises ``SourceDown`` and ``SourceError``; finished pages stay.

    ``group``: look at the subjects of these relations only, and derive their facts. What is fetched of an item is all
    that ``relations`` watch of it even so, because its one revision is the cursor for all of them.
    """
    polled = relations if group is None else group
    server_time = source.server_time()
    _refuse_going_back(run, source.name, server_time)
    watch = {relation.property: source.subjects(relation) for relation in polled}
    properties = sorted(relation.property for relation in relations)
    items = sorted({item for subjects in watch.values() for item in subjects})
    run.progress.start("poll revisions", len(items))
    heads: dict[ItemId, ItemHead] = {}
    for head in source.heads(items):
        heads[head.id] = head
        run.progress.advance()
    run.progress.finish()

    changed = _changed(run, source.name, watch, heads)
    counts = _fetch(run, source, changed, properties)
    _fetch_object_labels(run, source, polled, watch)
    marks = [f"{source.name}/{relation.property}" for relation in polled] + [source.name] * (group is None)
    observed, believed, waiting = _derive(run, polled, watch, dict.fromkeys(marks, server_time))
    result = PullResult(
        watched=len(items),
        fetched=len(changed),
        statements=counts,
        observed=observed,
        believed=believed,
        waiting=waiting,
        server_time=server_time,
    )
    _tell(run, source.name, result)
    return result


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
    run: Run, source: str, watch: Mapping[PropertyId, list[ItemId]], heads: Mapping[ItemId, ItemHead]
) -> list[ItemHead]:
    """Heads past the stored ones, and all subjects of a property that was never pulled."""
    with run.ledger.read() as tx:
        stored = tx.heads(list(heads))
        fresh = {
            item for prop, subjects in watch.items() if tx.watermark(f"{source}/{prop}") is None for item in subjects
        }
    known = [h for h in stored.values() if not h.deleted]
    vanished = [h for h in known if heads[h.id].deleted]
    if len(vanished) > max(5, MASS_DELETION * len(known)):
        raise SourceError(
            f"{len(vanished)} of {len(known)} known items are missing from the source at once.",
            kept="The ledger keeps them as they were.",
            next_step="Check the endpoint (`kbsync doctor`); it may be loading, or be another dataset.",
        )
    return [head for item, head in sorted(heads.items()) if item in fresh or _moved(head, stored.get(item))]


def _moved(head: ItemHead, stored: ItemHead | None) -> bool:
    if stored is None:
        return True
    if head.deleted or stored.deleted:
        return head.deleted != stored.deleted
    return head.revision > stored.revision or head.redirect_to != stored.redirect_to


def _fetch(run: Run, source: StatementSource, changed: list[ItemHead], properties: list[PropertyId]) -> PullCounts:
    counts = PullCounts()
    run.progress.start("pull statements", len(changed))
    gone = [h for h in changed if h.deleted]
    for start in range(0, len(gone), BATCH):
        page = [ItemRecord(head=h, labels=Labels(item=h.id, label=None)) for h in gone[start : start + BATCH]]
        counts += _record(run, page, properties)
    for page in source.records([h.id for h in changed if not h.deleted], properties):
        counts += _record(run, page, properties)
    run.progress.finish()
    return counts


def _record(run: Run, page: list[ItemRecord], properties: list[PropertyId]) -> PullCounts:
    with run.ledger.write() as tx:
        counts = tx.record_items(page, properties, run.clock.now())
    run.progress.advance(len(page))
    return counts


def _fetch_object_labels(
    run: Run, source: StatementSource, relations: Sequence[Relation], watch: Mapping[PropertyId, list[ItemId]]
) -> None:
    """Labels of objects that the ledger can't name yet."""
    with run.ledger.read() as tx:
        objects = {
            ItemId(statement.value.text)
            for relation in relations
            for statements in tx.statements_of(relation.property, watch[relation.property]).values()
            for statement in statements
            if statement.value is not None and statement.value.kind is ValueKind.ITEM
        }
        missing = sorted(objects - set(tx.labels(sorted(objects))))
    run.progress.start("pull labels", len(missing))
    for page in source.labels(missing):
        with run.ledger.write() as tx:
            tx.record_labels(page)
        run.progress.advance(len(page))
    run.progress.finish()


def _derive(
    run: Run,
    relations: Sequence[Relation],
    watch: Mapping[PropertyId, list[ItemId]],
    marks: Mapping[str, datetime],
) -> tuple[int, int, int]:
    """Observe and settle every watched fact; facts and watermarks are one transaction.

    All of them, not only the fetched items': trust grows with time alone, and so do statements begin and end.
    """
    observed = believed = waiting = 0
    now = run.clock.now()
    with run.ledger.write() as tx:
        for relation in relations:
            before = {record.key: record for record in tx.facts(relation.property)}
            after = _records(tx, relation, watch[relation.property], before, now)
            tx.put_facts([record for record in after if record != before.get(record.key)])
            observed += sum(_observed_hash(before.get(r.key)) != r.observed.value_hash for r in after)
            believed += sum(_believed_hash(before.get(r.key)) != _believed_hash(r) for r in after)
            waiting += sum(r.pending for r in after)
        for name, at in marks.items():
            tx.set_watermark(name, at)
    return observed, believed, waiting


def _records(
    tx: LedgerTransaction,
    relation: Relation,
    subjects: Sequence[ItemId],
    before: Mapping[FactKey, FactRecord],
    now: datetime,
) -> list[FactRecord]:
    """The relation's fact records as of ``now``; of subjects no longer watched, the old record stays as it is."""
    heads = tx.heads(subjects)
    statements = tx.statements_of(relation.property, subjects)
    records = []
    for subject in subjects:
        key = FactKey(subject, relation.property)
        stored = before.get(key)
        head = heads[subject]
        since = min(now, head.modified) if head.modified else now
        state = observe(statements.get(subject, []), relation.cardinality, revision=head.revision, since=since, now=now)
        record = FactRecord(
            key=key,
            observed=_continue(stored.observed, state, now) if stored else state,
            believed=stored.believed if stored else None,
            believed_at=stored.believed_at if stored else None,
        )
        records.append(settle(record, relation.trust, now))
    return records


def _continue(stored: FactState, state: FactState, now: datetime) -> FactState:
    """Keep the moment since when the values stand; a change that no revision brought began now."""
    if stored.value_hash == state.value_hash:
        return replace(state, since=stored.since, revision=stored.revision)
    return state if state.revision > stored.revision else replace(state, since=now)


def _observed_hash(record: FactRecord | None) -> str | None:
    return record.observed.value_hash if record else None


def _believed_hash(record: FactRecord | None) -> str | None:
    return record.believed.value_hash if record and record.believed else None
