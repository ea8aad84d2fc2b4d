"""The verdicts of models on facts."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, bindparam, exists, select, update

from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.statement import PropertyId
from kbsync.domain.verdict import Verdict, VerdictKey, VerdictKind
from kbsync.ledger import row_journal, tables
from kbsync.ledger.repository import tallies
from kbsync.ledger.repository.base import Repository, batches
from kbsync.ledger.repository.facts import is_about, key_of, record_of
from kbsync.ledger.repository.tallies import askable
from kbsync.ledger.table_parts import has_key
from kbsync.ports import VerdictReader, VerdictWriter


class SqlVerdictReader(Repository, VerdictReader):
    """Reads verdicts."""

    def verdicts(self, model_fingerprint: str) -> dict[VerdictKey, Verdict]:
        """All verdicts on one model, by key."""
        query = select(tables.verdicts).where(tables.verdicts.c.model_fingerprint == model_fingerprint)
        verdicts = map(_verdict, self._connection.execute(query))
        return {verdict.key: verdict for verdict in verdicts}

    def verdict(self, key: VerdictKey) -> Verdict | None:
        """One verdict, found by its primary key."""
        table = tables.verdicts
        wanted = and_(
            is_about(table, key.fact),
            table.c.value_hash == key.value_hash,
            table.c.names_hash == key.names_hash,
            table.c.model_fingerprint == key.model_fingerprint,
            table.c.template_hash == key.template_hash,
        )
        row = self._connection.execute(select(table).where(wanted)).one_or_none()
        return _verdict(row) if row else None

    def verdicts_on(self, facts: Sequence[FactKey], model_fingerprint: str) -> dict[VerdictKey, Verdict]:
        """Read by the primary key, in batches."""
        table, found = tables.verdicts.c, dict[VerdictKey, Verdict]()
        for batch in batches(facts):
            query = select(tables.verdicts).where(has_key((table.subject, table.property), batch))
            # Asked for the model as well, SQLite would go along an index of all that the model said.
            verdicts = map(_verdict, self._connection.execute(query))
            found |= {one.key: one for one in verdicts if one.key.model_fingerprint == model_fingerprint}
        return found

    def verdict_counts(
        self, property: PropertyId, model_fingerprint: str, template_hash: str
    ) -> dict[VerdictKind, int]:
        """By kind, the verdicts on what is believed now, as they were counted when facts and verdicts were written."""
        counted = tallies.read(self._connection, property, model_fingerprint, template_hash)
        return {kind: counted[kind.value] for kind in VerdictKind if kind.value in counted}

    def unjudged(self, property: PropertyId, model_fingerprint: str, template_hash: str) -> list[FactRecord]:
        """Askable facts without a verdict on what is believed now, sorted by key."""
        judged = exists().where(judges_belief(model_fingerprint, template_hash)).correlate(tables.facts)
        query = select(tables.facts).where(tables.facts.c.property == property, askable(), ~judged)
        return sorted((record_of(row) for row in self._connection.execute(query)), key=lambda record: record.key)


class SqlVerdictWriter(SqlVerdictReader, VerdictWriter):
    """Writes verdicts."""

    def record_verdicts(self, verdicts: Sequence[Verdict], at: datetime) -> int:
        """Insert verdicts, or replace those that were made with other names; the database counts the new ones.

        The hash of the names that each verdict was made with is stored with its fact.
        """
        if not verdicts:
            return 0
        with tallies.tallied(self._connection, [v.key.fact for v in verdicts]):
            return self._write(verdicts, at)

    def _write(self, verdicts: Sequence[Verdict], at: datetime) -> int:
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


def judges_belief(model_fingerprint: str, template_hash: str) -> ColumnElement[bool]:
    """Whether a row of ``verdicts`` is one model's about what its row of ``facts`` believes now."""
    verdicts = tables.verdicts.c
    return and_(
        tallies.judges(),
        verdicts.model_fingerprint == model_fingerprint,
        verdicts.template_hash == template_hash,
    )


def _verdict(row: Row[Any]) -> Verdict:
    key = VerdictKey(
        fact=key_of(row),
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
