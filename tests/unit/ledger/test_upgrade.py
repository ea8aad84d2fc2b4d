"""An older ledger is brought up to date with all that is in it."""

from __future__ import annotations

from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import select, text

from kbsync.domain.version import VersionState
from kbsync.ledger import schema
from kbsync.ledger.engine import make_engine, parse_url, reading, writing
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.tables import metadata
from kbsync.testing.samples import HEAD_OF_STATE, HOUR, NOW, edit_plan, evaluation, record, statement
from tests.support.postgres_server import Postgres, shared
from tests.unit.ledger.test_schema import empty_url  # noqa: F401

EARLIER = [
    script.revision
    for script in ScriptDirectory(str(schema.migrations_directory())).walk_revisions()
    if script.revision != schema.REVISION
]


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    return shared()


def fill(url: str) -> None:
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
        plan = edit_plan("Ada", "Bob")
        number = tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW).number
        tx.set_version_state(number, VersionState.CANDIDATE, version_hash="h" * 64)
        tx.record_evaluation(evaluation(number))
        tx.record_evaluation(evaluation(number, value=0.5))
        tx.move_alias("current", 0, tx.acquire_lease("writer", "test", HOUR, NOW), NOW)
        tx.append_audit("pull", "test", {"history": tx.history_head()}, NOW)
    with ledger.write() as tx:
        tx.put_facts(FACTS)
    ledger.close()


def _facts() -> list[Any]:
    from kbsync.domain.fact import FactKey, FactRecord, observe
    from kbsync.domain.relation import Cardinality
    from kbsync.domain.statement import ItemId

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


FACTS = _facts()


def rows(url: str) -> dict[str, list[tuple[Any, ...]]]:
    engine = make_engine(parse_url(url))
    with reading(engine) as connection:
        found = {
            name: [tuple(row) for row in connection.execute(select(table).order_by(*table.primary_key))]
            for name, table in metadata.tables.items()
        }
    engine.dispose()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("earlier", EARLIER)
def test_a_filled_ledger_of_an_earlier_schema(empty_url: str, earlier: str) -> None:  # noqa: F811
    schema.upgrade(empty_url)
    fill(empty_url)
    before = rows(empty_url)
    engine = make_engine(parse_url(empty_url), foreign_keys=False)
    with writing(engine) as connection:
        command.downgrade(schema.alembic_config(connection), earlier)
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == earlier
    engine.dispose()
    schema.upgrade(empty_url)
    assert rows(empty_url) == before
    assert schema.check(empty_url) == []
    ledger = SqlLedger(empty_url)
    with ledger.write() as tx:
        assert tx.record_items([record(revision=901, subject="Q501")], [HEAD_OF_STATE], NOW).removed == 1
    ledger.close()
    assert schema.check(empty_url) == []
