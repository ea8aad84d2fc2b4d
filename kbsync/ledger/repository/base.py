"""What all repositories share: the connection, and writing many rows at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite

T = TypeVar("T")

_BATCH = 500
"""Values in one IN list: far below SQLite's limit of 32,766 variables a statement."""


def batches(values: Sequence[T], size: int = _BATCH) -> Iterator[Sequence[T]]:
    """``values`` in parts of at most ``size``."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


class Repository:
    """Works inside a transaction that was opened elsewhere."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows; nothing happens where there are none."""
        if rows:
            self._connection.execute(table.insert(), rows)

    def _upsert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert, or overwrite the row that has the same primary key."""
        if not rows:
            return
        insert = self._dialect_insert(table)
        others = {c.name: insert.excluded[c.name] for c in table.c if not c.primary_key}
        statement = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=others)
        self._connection.execute(statement, rows)

    def _dialect_insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """An INSERT that knows ON CONFLICT, as both databases have it."""
        return sqlite.insert(table) if self._connection.dialect.name == "sqlite" else postgresql.insert(table)
