"""Whoever has all rights can give the tables another form; what differs is named."""

from __future__ import annotations

import sqlite3

import pytest

from kbsync.ledger import schema
from tests.support import ledger_raw as raw
from tests.support.filled_ledger import fill
from tests.support.postgres_server import Postgres

pytestmark = pytest.mark.hardening

BOTH = {
    "ALTER TABLE labels ADD COLUMN further TEXT": "labels: the column further is not kbsync's",
    "ALTER TABLE quarantine DROP COLUMN reason": "quarantine: the column reason is gone",
}
POSTGRESQL = {
    "ALTER TABLE facts ALTER COLUMN names_hash SET DEFAULT 'x'": "facts: the column names_hash has a default",
    "ALTER TABLE labels ADD COLUMN g INT GENERATED ALWAYS AS (1) STORED": "labels: the column g is not kbsync's",
    "ALTER TABLE tallies DROP CONSTRAINT pk_tallies": "tallies: the primary key is not kbsync's",
    "ALTER TABLE audit_events DROP CONSTRAINT uq_audit_events_prev": "audit_events: prev may be there twice",
    "ALTER TABLE audit_events DROP CONSTRAINT ck_audit_events_genesis": "audit_events: the constraint ck_audit_events_",
    "ALTER TABLE facts ALTER COLUMN observed_hash DROP NOT NULL": "facts: the column observed_hash may be",
}
SQLITE = {
    "PRAGMA ignore_check_constraints = 1; UPDATE leases SET token = -5": "the file is damaged: CHECK",
    "CREATE TABLE t AS SELECT * FROM facts; DROP TABLE facts; ALTER TABLE t RENAME TO facts": "facts: the primary key",
    "CREATE INDEX evil ON facts(property) WHERE property = 'x'; PRAGMA writable_schema = 1; UPDATE sqlite_master "
    "SET sql = 'CREATE INDEX evil ON facts(property)' WHERE name = 'evil'": "the file is damaged: row 1 missing from",
    "PRAGMA writable_schema = 1; UPDATE sqlite_master SET sql = replace(sql, 'names_hash TEXT', "
    "'names_hash TEXT DEFAULT ''x''') WHERE name = 'facts'": "facts: the column names_hash has a default",
}


@pytest.mark.slow
def test_the_form_of_kbsyncs_own_tables_is_right(ledger_url: str) -> None:
    fill(ledger_url)
    assert schema.check(ledger_url) == []


@pytest.mark.slow
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
def test_another_form_is_named(ledger_url: str, postgres: Postgres) -> None:
    own = postgres.database()  # the tables of the others are used again
    schema.upgrade(own)
    for url, orders in ((ledger_url, BOTH), (own, BOTH | POSTGRESQL)):
        fill(url)
        raw.run(url, *orders)
        found = schema.check(url)
        assert [what for what in orders.values() if not any(problem.startswith(what) for problem in found)] == []


@pytest.mark.slow
@pytest.mark.parametrize("ledger_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("script", SQLITE)
def test_what_is_changed_past_sqlites_own_rules_is_named(ledger_url: str, script: str) -> None:
    fill(ledger_url)
    with sqlite3.connect(ledger_url.removeprefix("sqlite:///")) as connection:
        connection.executescript(script)
    connection.close()
    assert any(found.startswith(SQLITE[script]) for found in schema.check(ledger_url))
