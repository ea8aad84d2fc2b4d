"""Changing what was written: the triggers refuse it, and where they are taken away the chain tells the place."""

from __future__ import annotations

import pytest
from sqlalchemy.exc import DBAPIError

from kbsync.domain.audit import verify
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.samples import HEAD_OF_STATE, HOUR, NOW, edit_plan, fact, record, statement
from tests.support import ledger_raw as raw


@pytest.fixture
def filled(ledger_url: str) -> str:
    """Five audit events, one change of a statement, one belief, one move of an alias."""
    ledger = SqlLedger(ledger_url)
    with ledger.write() as tx:
        tx.record_items([record(statement(1))], [HEAD_OF_STATE], NOW)
        tx.put_facts([fact(believed=True)])
        plan = edit_plan("Ada")
        tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
        tx.move_alias("current", 0, tx.acquire_lease("writer", "test", HOUR, NOW), NOW)
        for number in range(5):
            tx.append_audit("pull", "test", {"number": number}, NOW + number * HOUR)
    ledger.close()
    return ledger_url


@pytest.mark.slow
@pytest.mark.parametrize("table", ["audit_events", "statement_history", "alias_moves", "beliefs"])
@pytest.mark.parametrize("change", ["UPDATE {} SET seq = seq + 100", "DELETE FROM {}", "TRUNCATE {}"])
def test_append_only_tables_refuse_changes(filled: str, table: str, change: str) -> None:
    if filled.startswith("sqlite") and change.startswith("TRUNCATE"):
        pytest.skip("SQLite has no TRUNCATE")
    with pytest.raises(DBAPIError, match=f"{table} is append-only"):
        raw.run(filled, change.format(table))
    assert schema.check(filled) == []


def test_a_replacing_insert_is_refused_on_the_ledgers_own_connections(filled: str) -> None:
    if not filled.startswith("sqlite"):
        pytest.skip("PostgreSQL has no INSERT OR REPLACE")
    ledger = SqlLedger(filled)
    steal = "INSERT OR REPLACE INTO audit_events SELECT seq, at, kind, 'thief', body, prev, hash FROM audit_events"
    with ledger._engine.begin() as connection, pytest.raises(DBAPIError, match="append-only"):
        connection.exec_driver_sql(steal)
    ledger.close()


LIES = {
    "actor": ("UPDATE audit_events SET actor = 'nobody' WHERE seq = 3", "event 3 was changed after it was written"),
    "body": (
        "UPDATE audit_events SET body = replace(body, '2', '7') WHERE seq = 3",
        "event 3 was changed after it was written",
    ),
    "time": (
        "UPDATE audit_events SET at = (SELECT at FROM audit_events WHERE seq = 1) WHERE seq = 3",
        "event 3 was changed after it was written",
    ),
    "hash": (
        f"UPDATE audit_events SET hash = '{'f' * 64}' WHERE seq = 3",
        "event 3 was changed after it was written",
    ),
    "link": (f"UPDATE audit_events SET prev = '{'f' * 64}' WHERE seq = 3", "event 3 does not follow event 2"),
    "removed": ("DELETE FROM audit_events WHERE seq = 3", "event 3 is missing (found 4)"),
    "moved": ("UPDATE audit_events SET seq = 9 WHERE seq = 5", "event 5 is missing (found 9)"),
}


@pytest.mark.slow
@pytest.mark.parametrize("lie", LIES)
def test_a_tampered_chain_names_the_place(filled: str, lie: str) -> None:
    change, place = LIES[lie]
    raw.run(
        filled,
        raw.switch_off(filled, "audit_events", "update"),
        raw.switch_off(filled, "audit_events", "delete"),
        change,
    )
    ledger = SqlLedger(filled)
    with ledger.read() as tx:
        assert verify(tx.audit()) == place
    ledger.close()
    assert schema.check(filled) == [
        "the trigger audit_events_no_update is missing or switched off",
        "the trigger audit_events_no_delete is missing or switched off",
        f"the audit trail is broken: {place}",
    ]
