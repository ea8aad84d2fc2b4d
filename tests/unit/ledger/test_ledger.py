"""The ledger in SQL: it is opened only where its schema fits, and shared by threads."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kbsync.domain.errors import ConfigError, SchemaError, StoreError
from kbsync.ledger import schema
from kbsync.ledger.engine import sqlite_url
from kbsync.ledger.ledger import SqlLedger, SqlLedgerReader, SqlLedgerTransaction
from kbsync.ports import LedgerReader, LedgerTransaction
from kbsync.testing.samples import NOW
from tests.support import ledger_raw as raw


def test_transactions_are_those_of_the_port(ledger: SqlLedger) -> None:
    with ledger.read() as tx:
        assert isinstance(tx, SqlLedgerReader) and isinstance(tx, LedgerReader)
        assert not isinstance(tx, LedgerTransaction)
    with ledger.write() as tx:
        assert isinstance(tx, SqlLedgerTransaction) and isinstance(tx, LedgerTransaction)


def test_it_is_opened_only_where_the_schema_fits(ledger_url: str, tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="There is no ledger"):
        SqlLedger(sqlite_url(tmp_path / "none.db"))
    raw.run(ledger_url, "UPDATE kbsync_version SET version_num = '0001'")
    try:
        with pytest.raises(SchemaError, match="has schema 0001"):
            SqlLedger(ledger_url)
    finally:  # tests share the database on PostgreSQL
        raw.run(ledger_url, f"UPDATE kbsync_version SET version_num = '{schema.REVISION}'")
    with pytest.raises(ConfigError):
        SqlLedger("sqlite://")
    with pytest.raises(StoreError):
        SqlLedger("postgresql://127.0.0.1:1/kb")


def test_threads_share_it_each_with_transactions_of_its_own(ledger: SqlLedger) -> None:
    def work(number: int) -> int:
        with ledger.write() as tx:
            tx.set_watermark(f"source {number}", NOW)
        with ledger.read() as tx:
            return sum(tx.watermark(f"source {other}") is not None for other in range(8))

    with ThreadPoolExecutor(4) as pool:
        seen = list(pool.map(work, range(8)))
    assert max(seen) == 8


def test_a_closed_one_leaves_no_file_open(tmp_path: Path, ledger: SqlLedger, ledger_url: str) -> None:
    with ledger.read() as tx:
        assert tx.versions() == []
    ledger.close()
    if ledger_url.startswith("sqlite"):
        held = {fd.resolve() for fd in Path("/proc/self/fd").iterdir() if fd.exists()}
        assert not [file for file in held if tmp_path in file.parents]
