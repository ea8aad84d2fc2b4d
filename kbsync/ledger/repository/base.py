"""What all repositories share: the connection, and the only ways to write, which also note each row for the journal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, Table, select
from sqlalchemy.dialects import postgresql, sqlite

from kbsync.ledger import row_journal

T = TypeVar("T")

_BATCH = 500
"""Values in one IN list: far below SQLite's limit of 32,766 variables a statement."""


def batches(values: Sequence[T], size: int = _BATCH) -> Iterator[Sequence[T]]:
    """Split ``values`` into parts of at most ``size``."""
    for start in range(0, len(values), size):
        yield values[start : start + size]


class Repository:
    """Works inside a transaction that was opened elsewhere."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def _insert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert rows, if there are any."""
        if rows:
            row_journal.note(self._connection, table, rows)
            self._connection.execute(table.insert(), rows)

    def _upsert(self, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
        """Insert, or overwrite the row that has the same primary key."""
        if not rows:
            return
        row_journal.note(self._connection, table, rows)
        insert = self._dialect_insert(table)
        others = {c.name: insert.excluded[c.name] for c in table.c if not c.primary_key}
        statement = insert.on_conflict_do_update(index_elements=list(table.primary_key), set_=others)
        self._connection.execute(statement, rows)

    def _update(self, table: Table, condition: ColumnElement[bool], **values: Any) -> None:
        """Change the rows for which the condition holds."""
        self._note_where(table, condition)
        self._connection.execute(table.update().where(condition).values(values))

    def _delete(self, table: Table, condition: ColumnElement[bool]) -> None:
        """Delete the rows for which the condition holds."""
        self._note_where(table, condition)
        self._connection.execute(table.delete().where(condition))

    def _note_where(self, table: Table, condition: ColumnElement[bool]) -> None:
        if not row_journal.is_bound(table):
            return
        keys = self._connection.execute(select(*table.primary_key).where(condition))
        row_journal.note(self._connection, table, [dict(row._mapping) for row in keys])

    def _dialect_insert(self, table: Table) -> sqlite.Insert | postgresql.Insert:
        """The INSERT of this database, which supports ON CONFLICT."""
        return sqlite.insert(table) if self._connection.dialect.name == "sqlite" else postgresql.insert(table)
