"""The ledger in SQL, on SQLite and on a real PostgreSQL."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.conformance import LedgerConformance
from tests.support.ledger_fixtures import ledger_url, postgres, templates  # noqa: F401


class TestSqlLedger(LedgerConformance):
    @pytest.fixture
    def ledger(self, ledger_url: str) -> Iterator[SqlLedger]:
        opened = SqlLedger(ledger_url)
        yield opened
        opened.close()

    @pytest.fixture
    def hasty(self, ledger_url: str, ledger: SqlLedger) -> Iterator[SqlLedger]:
        opened = SqlLedger(ledger_url, patience=timedelta(milliseconds=50))
        yield opened
        opened.close()
