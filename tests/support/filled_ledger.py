"""A ledger with something in most tables, and what it holds, row by row."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import select

from kbsync.domain.fact import FactKey, FactRecord, observe
from kbsync.domain.name_trust import PendingNames
from kbsync.domain.relation import Cardinality
from kbsync.domain.standing import Standing
from kbsync.domain.statement import ItemId, Labels
from kbsync.domain.verdict import Evidence, Verdict, VerdictKind
from kbsync.domain.version import VersionState
from kbsync.ledger.engine import make_engine, parse_url, reading
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.tables import metadata
from kbsync.testing.samples import HEAD_OF_STATE, HOUR, NOW, edit_plan, evaluation, record, statement, verdict


def fill(url: str) -> None:
    """Something in most tables: 400 items and facts, a version with two evaluations, a writer who still holds the
    lease."""
    ledger = SqlLedger(url)
    with ledger.write() as tx:
        tx.record_items(
            [
                record(*(statement(n, f"Q{n}", subject=f"Q{s}") for n in range(1, 4)), subject=f"Q{s}")
                for s in range(500, 900)
            ],
            [HEAD_OF_STATE],
            NOW,
        )
        tx.record_items(
            [record(statement(1, "Q2", subject="Q501"), subject="Q501", revision=900)], [HEAD_OF_STATE], NOW + HOUR
        )
        tx.record_labels([record(subject=f"Q{s}").labels for s in range(500, 900)])
        tx.set_pending_names([_pending("Q500"), _pending("Q501")])
        plan = edit_plan("Ada", "Bob")
        number = tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW).number
        tx.set_version_state(number, VersionState.CANDIDATE, version_hash="h" * 64)
        tx.record_evaluation(evaluation(number))
        tx.record_evaluation(evaluation(number, value=0.5))
        tx.move_alias("current", 0, tx.acquire_lease("writer", "test", HOUR, NOW), NOW)
        tx.append_audit("pull", "test", {"history": tx.history_head()}, NOW)
    with ledger.write() as tx:
        tx.put_facts(_facts())
        tx.record_verdicts(_verdicts(), NOW)
    ledger.close()


def _pending(item: str) -> PendingNames:
    standing = Standing(here=NOW, there=NOW, origin=((ItemId(item), 1),))
    return PendingNames(names=Labels(item=ItemId(item), label="another name"), standing=standing)


def _facts() -> list[FactRecord]:
    records = []
    for number in range(500, 900):
        subject = ItemId(f"Q{number}")
        known = [statement(1, "Q7", subject=subject)] if number % 3 else []
        state = observe(known, Cardinality.SINGLE, revision=number, since=NOW, now=NOW)
        believed = state if number % 2 else None
        at = NOW if believed else None
        records.append(
            FactRecord(key=FactKey(subject, HEAD_OF_STATE), observed=state, believed=believed, believed_at=at)
        )
    return records


def _verdicts() -> list[Verdict]:
    """Add more rows than a migration handles at once, of each kind that every schema has."""
    kinds = (VerdictKind.CURRENT, VerdictKind.STALE, VerdictKind.UNKNOWN)
    asked = [verdict(FactKey(ItemId(f"Q{n}"), HEAD_OF_STATE), kind=kinds[n % 3]) for n in range(500, 900)]
    not_asked = replace(
        verdict(FactKey(ItemId("Q500"), HEAD_OF_STATE), value_hash="x", kind=VerdictKind.AMBIGUOUS),
        evidence=Evidence(reason="no label"),
    )
    return [*asked, not_asked]


def rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, by table, in the order of the primary keys."""
    engine = make_engine(parse_url(url))
    with reading(engine) as connection:
        tables = {
            name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for name, table in metadata.tables.items()
        }
    engine.dispose()
    return tables
