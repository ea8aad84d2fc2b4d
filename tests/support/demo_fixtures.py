"""The shipped table, and a moment to which all dates of a test are relative."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from kbsync.config import load_relations, shipped_config, shipped_relations
from kbsync.demo.examples import watched_relations
from kbsync.demo.table import Table, load_table
from kbsync.domain.relation import Relation


@cache
def demo_relations() -> tuple[Relation, ...]:
    """Those that the demonstration watches."""
    with tempfile.TemporaryDirectory() as directory:
        for path, text in watched_relations(shipped_config()).items():
            (Path(directory) / Path(path).name).write_text(text)
        return (*shipped_relations("relations"), *load_relations(Path(directory)))


@pytest.fixture(scope="session")
def table() -> Table:
    return load_table()


@pytest.fixture(scope="session")
def moment() -> datetime:
    return datetime(2026, 1, 15, 12, tzinfo=UTC)
