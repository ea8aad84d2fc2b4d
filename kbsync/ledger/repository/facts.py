"""Facts, verdicts on them, the quarantine, and what people decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Table,
    and_,
    bindparam,
    case,
    exists,
    func,
    or_,
    select,
    tuple_,
    update,
)

from kbsync.domain.decision import Decision
from kbsync.domain.fact import FactKey, FactRecord, value_hash
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.verdict import Verdict, VerdictKey, VerdictKind
from kbsync.ledger import row_journal, tables
from kbsync.ledger.repository.base import Repository, batches
from kbsync.ports import Belief, FactCounts, FactReader, FactWriter, Quarantined

_NOTHING = value_hash(())
"""Hash of what is believed where no statement holds."""


class SqlFactReader(Repository, FactReader):
    """Reads facts and what was found and decided about them."""

    def facts(self, property: PropertyId | None = None) -> list[FactRecord]:
        """All fact records (of one property), sorted by key."""
        query = select(tables.facts)
        if property is not None:
            query = query.where(tables.facts.c.property == property)
        return sorted((record_of(row) for row in self._connection.execute(query)), key=lambda record: record.key)

    def fact(self, key: FactKey) -> FactRecord | None:
        """One fact record; None for an unknown fact."""
        row = self._connection.execute(select(tables.facts).where(_is(tables.facts, key))).one_or_none()
        return record_of(row) if row else None

    def waiting(self, property: PropertyId) -> list[FactRecord]:
        """The fact records of one property that are pending, sorted by key; found by the hashes in the index."""
        facts = tables.facts.c
        pending = or_(facts.believed_hash.is_(None), facts.believed_hash != facts.observed_hash)
        query = select(tables.facts).where(facts.property == property, pending)
        return sorted((record_of(row) for row in self._connection.execute(query)), key=lambda record: record.key)

    def beliefs(self, key: FactKey) -> list[Belief]:
        """Everything that was ever believed of the fact, oldest first."""
        query = select(tables.beliefs).where(_is(tables.beliefs, key)).order_by(tables.beliefs.c.seq)
        return [Belief(at=row.at, state=row.state) for row in self._connection.execute(query)]

    def verdicts(self, model_fingerprint: str) -> dict[VerdictKey, Verdict]:
        """All verdicts on one model, by key."""
        query = select(tables.verdicts).where(tables.verdicts.c.model_fingerprint == model_fingerprint)
        verdicts = map(_verdict, self._connection.execute(query))
        return {verdict.key: verdict for verdict in verdicts}

    def verdict(self, key: VerdictKey) -> Verdict | None:
        """One verdict, found by its primary key."""
        table = tables.verdicts
        wanted = and_(
            _is(table, key.fact),
            table.c.value_hash == key.value_hash,
            table.c.names_hash == key.names_hash,
            table.c.model_fingerprint == key.model_fingerprint,
            table.c.template_hash == key.template_hash,
        )
        row = self._connection.execute(select(table).where(wanted)).one_or_none()
        return _verdict(row) if row else None

    def fact_counts(self, property: PropertyId) -> FactCounts:
        """Numbers of facts by state; from the index alone, since the hashes tell what the documents hold."""
        facts = tables.facts.c
        differs = case((facts.believed_hash == facts.observed_hash, 0), else_=1)
        row = self._connection.execute(
            select(
                func.count(),
                func.count(facts.believed_hash),
                func.count(case((askable(), 1))),
                func.coalesce(func.sum(differs), 0),
            ).where(facts.property == property)
        ).one()
        return FactCounts(facts=row[0], believed=row[1], askable=row[2], waiting=int(row[3]))

    def verdict_counts(
        self, property: PropertyId, model_fingerprint: str, template_hash: str
    ) -> dict[VerdictKind, int]:
        """By kind, the verdicts on what is believed now; counted by an index that covers the query."""
        judged = and_(tables.facts.c.property == property, judges_belief(model_fingerprint, template_hash))
        kind = tables.verdicts.c.kind
        rows = self._connection.execute(select(kind, func.count()).where(judged).group_by(kind))
        return {VerdictKind(word): count for word, count in rows}

    def unjudged(self, property: PropertyId, model_fingerprint: str, template_hash: str) -> list[FactRecord]:
        """Askable facts without a verdict on what is believed now, sorted by key."""
        judged = exists().where(judges_belief(model_fingerprint, template_hash)).correlate(tables.facts)
        query = select(tables.facts).where(tables.facts.c.property == property, askable(), ~judged)
        return sorted((record_of(row) for row in self._connection.execute(query)), key=lambda record: record.key)

    def quarantine(self) -> dict[FactKey, Quarantined]:
        """All facts in quarantine."""
        rows = self._connection.execute(select(tables.quarantine))
        return {_key(row): Quarantined(value_hash=row.value_hash, reason=row.reason) for row in rows}

    def decisions(self) -> dict[FactKey, Decision]:
        """What people decided and did not withdraw."""
        rows = self._connection.execute(select(tables.decisions))
        return {
            _key(row): Decision(key=_key(row), kind=row.kind, reason=row.reason, actor=row.actor, at=row.at)
            for row in rows
        }


class SqlFactWriter(SqlFactReader, FactWriter):
    """Writes facts and what was found and decided about them."""

    def set_decision(self, decision: Decision) -> None:
        """Insert the decision or replace the earlier one about the same fact."""
        row = {"kind": decision.kind, "reason": decision.reason, "actor": decision.actor, "at": decision.at}
        self._upsert(tables.decisions, [{**decision.key._asdict(), **row}])

    def clear_decision(self, key: FactKey) -> None:
        """Delete the decision about the fact."""
        self._delete(tables.decisions, _is(tables.decisions, key))

    def put_facts(self, records: Sequence[FactRecord]) -> None:
        """Insert or replace facts, and add a row of ``beliefs`` for each belief that differs from the stored one."""
        changed = self._newly_believed(records)
        self._upsert(
            tables.facts,
            [
                {
                    **record.key._asdict(),
                    "observed": record.observed,
                    "believed": record.believed,
                    "believed_at": record.believed_at,
                    "observed_hash": record.observed.value_hash,
                    "believed_hash": _hash(record),
                    "names_hash": record.names_hash,
                }
                for record in records
            ],
        )
        self._insert(
            tables.beliefs,
            [{**record.key._asdict(), "at": record.believed_at, "state": record.believed} for record in changed],
        )

    def _newly_believed(self, records: Sequence[FactRecord]) -> list[FactRecord]:
        """The records whose belief differs from the stored one."""
        stored: dict[FactKey, str | None] = {}
        for batch in batches([record.key for record in records if record.believed]):
            wanted = tuple_(tables.facts.c.subject, tables.facts.c.property).in_(batch)
            query = select(tables.facts.c.subject, tables.facts.c.property, tables.facts.c.believed_hash).where(wanted)
            stored |= {FactKey(row[0], row[1]): row[2] for row in self._connection.execute(query)}
        return [record for record in records if record.believed and stored.get(record.key) != _hash(record)]

    def record_verdicts(self, verdicts: Sequence[Verdict], at: datetime) -> int:
        """Insert them, or replace those that were judged by other names; the database itself tells how many were new.

        They hold for the facts' names of now, so these are noted.
        """
        if not verdicts:
            return 0
        table, facts = tables.verdicts, tables.facts
        names = [
            {"of_subject": v.key.fact.subject, "of_property": v.key.fact.property, "names": v.key.names_hash}
            for v in verdicts
        ]
        row_journal.note(self._connection, facts, [v.key.fact._asdict() for v in verdicts])
        same = and_(facts.c.subject == bindparam("of_subject"), facts.c.property == bindparam("of_property"))
        self._connection.execute(update(facts).where(same).values(names_hash=bindparam("names")), names)
        rows = [_verdict_row(v, at) for v in verdicts]
        row_journal.note(self._connection, table, rows)
        insert = self._dialect_insert(table)
        newer = insert.on_conflict_do_update(
            index_elements=list(table.primary_key),
            set_={c.name: insert.excluded[c.name] for c in table.c if not c.primary_key},
            where=table.c.names_hash != insert.excluded.names_hash,
        ).returning(table.c.subject)
        return len(self._connection.execute(newer, rows).all())

    def set_quarantine(self, key: FactKey, value_hash: str, reason: str, at: datetime) -> None:
        """Insert the fact, or replace the value and the reason that it is there for."""
        self._upsert(tables.quarantine, [{**key._asdict(), "value_hash": value_hash, "reason": reason, "at": at}])

    def clear_quarantine(self, key: FactKey) -> None:
        """Delete the fact from the quarantine."""
        self._delete(tables.quarantine, _is(tables.quarantine, key))


def askable() -> ColumnElement[bool]:
    """Whether a row of ``facts`` is believed and has a value to ask for."""
    return and_(tables.facts.c.believed_hash.is_not(None), tables.facts.c.believed_hash != _NOTHING)


def judges_belief(model_fingerprint: str, template_hash: str) -> ColumnElement[bool]:
    """Whether a row of ``verdicts`` is about what its row of ``facts`` believes now."""
    facts, verdicts = tables.facts.c, tables.verdicts.c
    return and_(
        verdicts.subject == facts.subject,
        verdicts.property == facts.property,
        verdicts.value_hash == facts.believed_hash,
        verdicts.names_hash == facts.names_hash,
        verdicts.model_fingerprint == model_fingerprint,
        verdicts.template_hash == template_hash,
    )


def _is(table: Table, key: FactKey) -> ColumnElement[bool]:
    """Whether a row of ``table`` is about the fact."""
    return and_(table.c.subject == key.subject, table.c.property == key.property)


def _key(row: Row[Any]) -> FactKey:
    return FactKey(ItemId(row.subject), PropertyId(row.property))


def _hash(record: FactRecord) -> str | None:
    return record.believed.value_hash if record.believed else None


def record_of(row: Row[Any]) -> FactRecord:
    return FactRecord(
        key=_key(row),
        observed=row.observed,
        believed=row.believed,
        believed_at=row.believed_at,
        names_hash=row.names_hash,
    )


def _verdict(row: Row[Any]) -> Verdict:
    key = VerdictKey(
        fact=_key(row),
        value_hash=row.value_hash,
        names_hash=row.names_hash,
        model_fingerprint=row.model_fingerprint,
        template_hash=row.template_hash,
    )
    return Verdict(key=key, kind=row.kind, evidence=row.evidence)


def _verdict_row(verdict: Verdict, at: datetime) -> dict[str, Any]:
    return {
        **verdict.key.fact._asdict(),
        "value_hash": verdict.key.value_hash,
        "names_hash": verdict.key.names_hash,
        "model_fingerprint": verdict.key.model_fingerprint,
        "template_hash": verdict.key.template_hash,
        "kind": verdict.kind,
        "evidence": verdict.evidence,
        "at": at,
    }
