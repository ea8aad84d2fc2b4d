"""Ledgers for tests, on SQLite and on a real PostgreSQL; each test finds an empty one.

Import the fixtures that are used and the ones they depend on: ``postgres``, ``templates``, ``ledger_url``, ``ledger``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from kbsync.ledger import schema, triggers
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.tables import metadata
from tests.support.postgres_server import Postgres, shared
from tests.support.sqlite_ledger import empty_ledger

BACKENDS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    return shared()


class Templates:
    """Databases that are migrated once: SQLite's file is copied for each test, PostgreSQL's database is emptied."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request

    def empty(self, backend: str, directory: Path) -> str:
        if backend == "sqlite":
            return empty_ledger(directory / "ledger.db")
        _empty(self._postgresql)
        return self._postgresql

    @cached_property
    def _postgresql(self) -> str:
        server: Postgres = self._request.getfixturevalue("postgres")
        url = server.database()
        schema.upgrade(url)
        return url


def _empty(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        # As a replica, the triggers that refuse it stay silent.
        connection.execute(text("SET LOCAL session_replication_role = replica"))
        for table in metadata.tables.values():
            connection.execute(table.delete())
        triggers.install(connection)
    engine.dispose()


@pytest.fixture(scope="session")
def templates(request: pytest.FixtureRequest) -> Templates:
    return Templates(request)


@pytest.fixture(params=BACKENDS)
def ledger_url(request: pytest.FixtureRequest, templates: Templates, tmp_path: Path) -> str:
    return templates.empty(request.param, tmp_path)


@pytest.fixture
def ledger(ledger_url: str) -> Iterator[SqlLedger]:
    opened = SqlLedger(ledger_url)
    yield opened
    opened.close()
