"""Rows that no driver or parser takes are findings, and keep nothing else from being found."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.unreadable import told
from kbsync.operations.chains import check_chains
from tests.support import ledger_raw as raw
from tests.support.postgres_server import Postgres
from tests.support.sqlite_ledger import empty_ledger
from tests.support.tampering import fill

NESTED = "[" * 50_000
SQLITE = {
    "UPDATE facts SET subject = CAST(x'ff' AS TEXT) WHERE subject = 'Q38'": "a row can't be read: Could not decode",
    "UPDATE statement_history SET after = CAST(x'ff' AS TEXT)": "the statement history can't be read: Could not",
    "UPDATE audit_events SET actor = CAST(x'ff' AS TEXT)": "the audit trail can't be read: Could not decode",
}
POSTGRESQL = {
    "ALTER TABLE versions ALTER COLUMN number TYPE numeric": "a row can't be read: Object of type Decimal",
    "UPDATE watermarks SET at = 'infinity'": "a row can't be read: timestamp too large",
    "UPDATE watermarks SET at = '0044-01-01 BC'": "a row can't be read: timestamp too small",
}
BOTH = {
    f"UPDATE audit_events SET body = '{NESTED}' WHERE seq = 1": "event 1 was changed after it was written",
    f"UPDATE row_journal SET body = '{NESTED}' WHERE seq = 1": "the row journal is broken: entry 1 was changed",
    "UPDATE row_journal SET body = '{\"facts\":[[]]}', size = 1 WHERE seq = 1": "the row journal is broken: entry 1",
    "UPDATE row_journal SET size = 9223372036854775807": "the row journal is broken: entry 1",
}


@pytest.mark.hardening
@pytest.mark.parametrize("sqlite", [True, False], ids=["sqlite", "postgresql"])
def test_what_can_not_be_read_is_named_and_so_is_the_rest(sqlite: bool, postgres: Postgres, tmp_path: Path) -> None:
    ledger_url = empty_ledger(tmp_path / "ledger.sqlite3") if sqlite else postgres.database()
    schema.upgrade(ledger_url)
    fill(ledger_url, tmp_path)
    events = [raw.switch_off(ledger_url, table, "update") for table in ("statement_history", "audit_events")]
    raw.run(ledger_url, *events, raw.switch_off(ledger_url, "row_journal", "update"))
    raw.run(ledger_url, "DELETE FROM quarantine")
    for order, what in (BOTH | (SQLITE if sqlite else POSTGRESQL)).items():
        raw.run(ledger_url, order.replace(":", r"\:"))
        ledger = SqlLedger(ledger_url)
        with ledger.read() as tx:
            found = [problem.what for problem in check_chains(tx, tmp_path).problems]
        ledger.close()
        assert any(problem.startswith(what) for problem in found), (order[:80], found)
        assert len(found) > 4, "the rest is named, too"


def test_a_database_that_is_lost_is_no_finding() -> None:
    def check() -> list[str]:
        raise OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))

    with pytest.raises(OperationalError):
        told("a row", check)
