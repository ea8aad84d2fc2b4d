"""Facts, the quarantine, and what people decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Row,
    Table,
    and_,
    or_,
    select,
    true,
)

from kbsync.domain.decision import Decision
from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger import tables
from kbsync.ledger.repository import tallies
from kbsync.ledger.repository.base import Repository, batches
from kbsync.ledger.table_parts import has_key
from kbsync.ports import Belief, FactCounts, FactReader, FactWriter, Quarantined


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
        row = self._connection.execute(select(tables.facts).where(is_about(tables.facts, key))).one_or_none()
        return record_of(row) if row else None

    def facts_of(self, keys: Sequence[FactKey]) -> list[FactRecord]:
        """Read by the primary key, in batches."""
        query, records = select(tables.facts), list[FactRecord]()
        for batch in batches(keys):
            chosen = query.where(has_key((tables.facts.c.subject, tables.facts.c.property), batch))
            records += [record_of(row) for row in self._connection.execute(chosen)]
        return sorted(records, key=lambda record: record.key)

    def waiting(self, property: PropertyId) -> list[FactRecord]:
        """The pending fact records of one property, sorted by key; the index finds them by their hashes."""
        facts = tables.facts.c
        pending = or_(facts.believed_hash.is_(None), facts.believed_hash != facts.observed_hash)
        query = select(tables.facts).where(facts.property == property, pending)
        return sorted((record_of(row) for row in self._connection.execute(query)), key=lambda record: record.key)

    def beliefs(self, key: FactKey) -> list[Belief]:
        """Everything that was ever believed of the fact, oldest first."""
        query = select(tables.beliefs).where(is_about(tables.beliefs, key)).order_by(tables.beliefs.c.seq)
        return [Belief(at=row.at, state=row.state) for row in self._connection.execute(query)]

    def fact_counts(self, property: PropertyId) -> FactCounts:
        """Numbers of facts by state, as they were counted when facts were written."""
        counted = tallies.read(self._connection, property)
        states = (tallies.FACTS, tallies.BELIEVED, tallies.ASKABLE, tallies.WAITING)
        return FactCounts(**{state: counted.get(state, 0) for state in states})

    def quarantine(self, among: Sequence[FactKey] | None = None) -> dict[FactKey, Quarantined]:
        """The facts in quarantine (of those in ``among``; None: all)."""
        table = tables.quarantine
        conditions = (
            [true()] if among is None else [has_key(list(table.primary_key), batch) for batch in batches(among)]
        )
        rows = (row for condition in conditions for row in self._connection.execute(select(table).where(condition)))
        return {key_of(row): Quarantined(value_hash=row.value_hash, reason=row.reason) for row in rows}

    def decisions(self) -> dict[FactKey, Decision]:
        """The decisions that people made and did not withdraw."""
        rows = self._connection.execute(select(tables.decisions))
        return {
            key_of(row): Decision(key=key_of(row), kind=row.kind, reason=row.reason, actor=row.actor, at=row.at)
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
        self._delete(tables.decisions, is_about(tables.decisions, key))

    def put_facts(self, records: Sequence[FactRecord]) -> None:
        """Insert or replace facts, and add a row of ``beliefs`` for each belief that differs from the stored one."""
        changed = self._newly_believed(records)
        with tallies.tallied(self._connection, [record.key for record in records]):
            self._put_rows(records)
        self._insert(
            tables.beliefs,
            [{**record.key._asdict(), "at": record.believed_at, "state": record.believed} for record in changed],
        )

    def _put_rows(self, records: Sequence[FactRecord]) -> None:
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

    def _newly_believed(self, records: Sequence[FactRecord]) -> list[FactRecord]:
        """The records whose belief differs from the stored one."""
        stored: dict[FactKey, str | None] = {}
        for batch in batches([record.key for record in records if record.believed]):
            wanted = has_key((tables.facts.c.subject, tables.facts.c.property), batch)
            query = select(tables.facts.c.subject, tables.facts.c.property, tables.facts.c.believed_hash).where(wanted)
            stored |= {FactKey(row[0], row[1]): row[2] for row in self._connection.execute(query)}
        return [record for record in records if record.believed and stored.get(record.key) != _hash(record)]

    def set_quarantine(self, key: FactKey, value_hash: str, reason: str, at: datetime) -> None:
        """Put a fact into quarantine, or replace its value and reason there."""
        self._upsert(tables.quarantine, [{**key._asdict(), "value_hash": value_hash, "reason": reason, "at": at}])

    def clear_quarantine(self, key: FactKey) -> None:
        """Delete the fact from the quarantine."""
        self._delete(tables.quarantine, is_about(tables.quarantine, key))


def is_about(table: Table, key: FactKey) -> ColumnElement[bool]:
    """Whether a row of ``table`` is about the fact."""
    return and_(table.c.subject == key.subject, table.c.property == key.property)


def key_of(row: Row[Any]) -> FactKey:
    """The fact that a row is about."""
    return FactKey(ItemId(row.subject), PropertyId(row.property))


def _hash(record: FactRecord) -> str | None:
    return record.believed.value_hash if record.believed else None


def record_of(row: Row[Any]) -> FactRecord:
    """The record that a row of ``facts`` holds."""
    return FactRecord(
        key=key_of(row),
        observed=row.observed,
        believed=row.believed,
        believed_at=row.believed_at,
        names_hash=row.names_hash,
    )
