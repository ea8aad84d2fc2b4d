"""Whether the tables are kbsync's: with other columns, defaults or keys, what kbsync writes from now on would differ.

On SQLite, the indexes are compared with their tables, too: a query that goes along an index does not find the rows that
somebody took out of it, while a check that reads the whole table does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from sqlalchemy import CheckConstraint, Connection, Inspector, Table, UniqueConstraint, inspect, text

from kbsync.ledger import tables

_NAMED = 10
"""Number of damaged places that SQLite names."""


def problems(connection: Connection) -> list[str]:
    """A sentence for each column, default or key that is not kbsync's, and for each index that does not fit its table;
    tables that are gone are named elsewhere."""
    inspector = inspect(connection)
    present = set(inspector.get_table_names())
    found = [
        f"{table.name}: {what}"
        for table in tables.metadata.sorted_tables
        if table.name in present
        for what in (*_columns(inspector, table), *_keys(inspector, table))
    ]
    return found + _damage(connection)


def _columns(inspector: Inspector, table: Table) -> Iterator[str]:
    there = {str(column["name"]): column for column in inspector.get_columns(table.name)}
    yield from (f"the column {name} is gone" for name in table.c.keys() - there.keys())
    yield from (f"the column {name} is not kbsync's" for name in there.keys() - table.c.keys())
    for name in sorted(there.keys() & table.c.keys()):
        column: Any = there[name]
        if column.get("computed") or (column.get("default") is not None and not column.get("identity")):
            yield f"the column {name} has a default that is not kbsync's"
        if column["nullable"] and not table.c[name].nullable:
            yield f"the column {name} may be empty, which kbsync's may not"


def _keys(inspector: Inspector, table: Table) -> Iterator[str]:
    primary = inspector.get_pk_constraint(table.name)["constrained_columns"]
    if list(primary) != [column.name for column in table.primary_key]:
        yield "the primary key is not kbsync's"
    unique = {tuple(found["column_names"]) for found in inspector.get_unique_constraints(table.name)}
    checked = {found["name"] for found in inspector.get_check_constraints(table.name)}
    for constraint in table.constraints:
        if isinstance(constraint, UniqueConstraint):
            names = tuple(column.name for column in constraint.columns)
            if names not in unique:
                yield f"{', '.join(names)} may be there twice, which kbsync's may not"
        if isinstance(constraint, CheckConstraint) and constraint.name not in checked:
            yield f"the constraint {constraint.name} is gone"


def _damage(connection: Connection) -> list[str]:
    """The damage that the database itself finds."""
    if connection.dialect.name == "sqlite":
        lines = connection.scalars(text(f"PRAGMA integrity_check({_NAMED})")).all()
        return [f"the file is damaged: {line}" for line in lines if line != "ok"]
    unproven = text(
        "SELECT conrelid::regclass || ' ' || conname FROM pg_constraint "
        "WHERE NOT convalidated AND connamespace = "
        "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())"
    )
    return [f"the constraint {name} was never validated" for name in connection.scalars(unproven)]
