"""The shipped table, and a moment to which all dates of a test are relative."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kbsync.demo.table import Table, load_table


@pytest.fixture(scope="session")
def table() -> Table:
    return load_table()


@pytest.fixture(scope="session")
def moment() -> datetime:
    return datetime(2026, 1, 15, 12, tzinfo=UTC)
