"""Append-only tables stay append-only: the triggers are installed, missed, and installed again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from kbsync.ledger import triggers
from kbsync.ledger.engine import make_engine, parse_url, writing
from kbsync.ledger.tables import APPEND_ONLY
from tests.support import ledger_raw as raw


@pytest.fixture
def connection(ledger_url: str) -> Iterator[Connection]:
    engine = make_engine(parse_url(ledger_url))
    with writing(engine) as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def test_a_new_ledger_misses_none(connection: Connection) -> None:
    assert triggers.missing(connection) == []


@pytest.mark.parametrize("table", [table.name for table in APPEND_ONLY])
def test_one_that_was_dropped_is_missed_and_comes_back(ledger_url: str, connection: Connection, table: str) -> None:
    connection.exec_driver_sql(raw.switch_off(ledger_url, table, "delete"))
    assert triggers.missing(connection) == [f"{table}_no_delete"]
    triggers.install(connection)
    triggers.install(connection)
    assert triggers.missing(connection) == []


def test_one_that_was_switched_off_is_missed(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        pytest.skip("SQLite can't switch a trigger off")
    connection.exec_driver_sql("ALTER TABLE audit_events DISABLE TRIGGER audit_events_no_update")
    assert triggers.missing(connection) == ["audit_events_no_update"]


def test_tables_that_do_not_exist_yet_get_none(connection: Connection) -> None:
    connection.exec_driver_sql("DROP TABLE beliefs")
    triggers.install(connection)
    assert {name.rpartition("_no_")[0] for name in triggers.missing(connection)} == {"beliefs"}
