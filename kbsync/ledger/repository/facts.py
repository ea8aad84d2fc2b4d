"""Facts, verdicts on them, and the quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, and_, case, delete, exists, func, select, tuple_

from kbsync.domain.decision import Decision
from kbsync.domain.fact import FactKey, FactRecord, value_hash
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.verdict import Verdict, VerdictKey, VerdictKind
from kbsync.ledger import tables as t
from kbsync.ledger.repository.base import Repository, batches
from kbsync.ports import Belief, FactCounts, FactReader, FactWriter, Quarantined

_NOTHING = value_hash(())
"""What is believed where nothing holds."""


class SqlFactReader(Repository, FactReader):
    def facts(self, property: PropertyId | None = None) -> list[FactRecord]:
        query = select(t.facts)
        if property is not None:
            query = query.where(t.facts.c.property == property)
        return sorted((_record(row) for row in self._connection.execute(query)), key=lambda record: record.key)

    def fact(self, key: FactKey) -> FactRecord | None:
        row = self._connection.execute(select(t.facts).where(_is(t.facts, key))).one_or_none()
        return _record(row) if row else None

    def beliefs(self, key: FactKey) -> list[Belief]:
        query = select(t.beliefs).where(_is(t.beliefs, key)).order_by(t.beliefs.c.seq)
        return [Belief(at=row.at, state=row.state) for row in self._connection.execute(query)]

    def verdicts(self, model_fingerprint: str) -> dict[VerdictKey, Verdict]:
        query = select(t.verdicts).where(t.verdicts.c.model_fingerprint == model_fingerprint)
        verdicts = map(_verdict, self._connection.execute(query))
        return {verdict.key: verdict for verdict in verdicts}

    def verdict(self, key: VerdictKey) -> Verdict | None:
        table = t.verdicts
        wanted = and_(
            _is(table, key.fact),
            table.c.value_hash == key.value_hash,
            table.c.model_fingerprint == key.model_fingerprint,
            table.c.template_hash == key.template_hash,
        )
        row = self._connection.execute(select(table).where(wanted)).one_or_none()
        return _verdict(row) if row else None

    def fact_counts(self, property: PropertyId) -> FactCounts:
        """From the index alone: the hashes tell what the documents hold."""
        facts = t.facts.c
        differs = case((facts.believed_hash == facts.observed_hash, 0), else_=1)
        row = self._connection.execute(
            select(
                func.count(),
                func.count(facts.believed_hash),
                func.count(case((_askable(), 1))),
                func.coalesce(func.sum(differs), 0),
            ).where(facts.property == property)
        ).one()
        return FactCounts(facts=row[0], believed=row[1], askable=row[2], waiting=int(row[3]))

    def verdict_counts(
        self, property: PropertyId, model_fingerprint: str, template_hash: str
    ) -> dict[VerdictKind, int]:
        judged = and_(t.facts.c.property == property, _judgement(model_fingerprint, template_hash))
        kind = t.verdicts.c.kind
        rows = self._connection.execute(select(kind, func.count()).where(judged).group_by(kind))
        return {VerdictKind(found): count for found, count in rows}

    def unjudged(self, property: PropertyId, model_fingerprint: str, template_hash: str) -> list[FactRecord]:
        there = exists().where(_judgement(model_fingerprint, template_hash)).correlate(t.facts)
        query = select(t.facts).where(t.facts.c.property == property, _askable(), ~there)
        return sorted((_record(row) for row in self._connection.execute(query)), key=lambda record: record.key)

    def quarantine(self) -> dict[FactKey, Quarantined]:
        rows = self._connection.execute(select(t.quarantine))
        return {_key(row): Quarantined(value_hash=row.value_hash, reason=row.reason) for row in rows}

    def decisions(self) -> dict[FactKey, Decision]:
        rows = self._connection.execute(select(t.decisions))
        return {
            _key(row): Decision(key=_key(row), kind=row.kind, reason=row.reason, actor=row.actor, at=row.at)
            for row in rows
        }


class SqlFactWriter(SqlFactReader, FactWriter):
    def set_decision(self, decision: Decision) -> None:
        row = {"kind": decision.kind, "reason": decision.reason, "actor": decision.actor, "at": decision.at}
        self._upsert(t.decisions, [{**decision.key._asdict(), **row}])

    def clear_decision(self, key: FactKey) -> None:
        self._connection.execute(delete(t.decisions).where(_is(t.decisions, key)))

    def put_facts(self, records: Sequence[FactRecord]) -> None:
        new = self._newly_believed(records)
        self._upsert(
            t.facts,
            [
                {
                    **record.key._asdict(),
                    "observed": record.observed,
                    "believed": record.believed,
                    "believed_at": record.believed_at,
                    "observed_hash": record.observed.value_hash,
                    "believed_hash": _hash(record),
                }
                for record in records
            ],
        )
        self._insert(
            t.beliefs,
            [{**record.key._asdict(), "at": record.believed_at, "state": record.believed} for record in new],
        )

    def _newly_believed(self, records: Sequence[FactRecord]) -> list[FactRecord]:
        """Those that believe something else than the ledger does."""
        stored: dict[FactKey, str | None] = {}
        for batch in batches([record.key for record in records if record.believed]):
            wanted = tuple_(t.facts.c.subject, t.facts.c.property).in_(batch)
            query = select(t.facts.c.subject, t.facts.c.property, t.facts.c.believed_hash).where(wanted)
            stored |= {FactKey(row[0], row[1]): row[2] for row in self._connection.execute(query)}
        return [record for record in records if record.believed and stored.get(record.key) != _hash(record)]

    def record_verdicts(self, verdicts: Sequence[Verdict], at: datetime) -> int:
        if not verdicts:
            return 0
        insert = self._dialect_insert(t.verdicts).on_conflict_do_nothing().returning(t.verdicts.c.subject)
        return len(self._connection.execute(insert, [_verdict_row(v, at) for v in verdicts]).all())

    def set_quarantine(self, key: FactKey, value_hash: str, reason: str, at: datetime) -> None:
        self._upsert(t.quarantine, [{**key._asdict(), "value_hash": value_hash, "reason": reason, "at": at}])

    def clear_quarantine(self, key: FactKey) -> None:
        self._connection.execute(delete(t.quarantine).where(_is(t.quarantine, key)))


def _askable() -> ColumnElement[bool]:
    """Believed, with an answer."""
    return and_(t.facts.c.believed_hash.is_not(None), t.facts.c.believed_hash != _NOTHING)


def _judgement(model_fingerprint: str, template_hash: str) -> ColumnElement[bool]:
    """The row of ``verdicts`` that is about what the row of ``facts`` believes now."""
    facts, verdicts = t.facts.c, t.verdicts.c
    return and_(
        verdicts.subject == facts.subject,
        verdicts.property == facts.property,
        verdicts.value_hash == facts.believed_hash,
        verdicts.model_fingerprint == model_fingerprint,
        verdicts.template_hash == template_hash,
    )


def _is(table: Table, key: FactKey) -> ColumnElement[bool]:
    return and_(table.c.subject == key.subject, table.c.property == key.property)


def _key(row: Row[Any]) -> FactKey:
    return FactKey(ItemId(row.subject), PropertyId(row.property))


def _hash(record: FactRecord) -> str | None:
    return record.believed.value_hash if record.believed else None


def _record(row: Row[Any]) -> FactRecord:
    return FactRecord(key=_key(row), observed=row.observed, believed=row.believed, believed_at=row.believed_at)


def _verdict(row: Row[Any]) -> Verdict:
    key = VerdictKey(
        fact=_key(row),
        value_hash=row.value_hash,
        model_fingerprint=row.model_fingerprint,
        template_hash=row.template_hash,
    )
    return Verdict(key=key, kind=row.kind, evidence=row.evidence)


def _verdict_row(verdict: Verdict, at: datetime) -> dict[str, Any]:
    return {
        **verdict.key.fact._asdict(),
        "value_hash": verdict.key.value_hash,
        "model_fingerprint": verdict.key.model_fingerprint,
        "template_hash": verdict.key.template_hash,
        "kind": verdict.kind,
        "evidence": verdict.evidence,
        "at": at,
    }
