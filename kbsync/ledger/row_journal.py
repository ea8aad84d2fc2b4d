"""The row journal: a hash of every row that influences what is edited, in an append-only chain.

During a transaction, the keys of the rows that it inserts, changes or deletes are noted (``note``). At its end these
rows are read back as they are stored, and their hashes are added to the journal (``seal``). Each audit event holds the
journal's head, and each entry of the journal holds the trail's. So a row that something other than kbsync changed does
not match its hash, and whoever rewrites the journal must also rewrite the trail and its anchors outside the database.
``examine.py`` makes the comparison.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Connection, Row, Select, Table, Text, func, literal_column, select, type_coerce

from kbsync.domain.audit import GENESIS
from kbsync.domain.canonical import canonical_json, content_hash, timestamp
from kbsync.ledger import tables
from kbsync.ledger.table_parts import has_key

CHAINED = {
    "audit_events": "it is a hash chain itself",
    "row_journal": "it is a hash chain itself",
    "statement_history": "it is a hash chain itself",
    "statements": "they are what the statement history leads to, which is checked",
    "plan_entries": "they are the entries of the plans, whose rows the journal holds, which is checked",
    "tallies": "they are what facts and verdicts are counted to, which is checked",
}
"""Tables that another proof covers, and which proof."""
UNDECIDING = {
    "leases": "a lease says who may write now, not what; its token is compared with those of the moves of aliases",
}
"""Tables whose rows do not influence what is edited, and why."""

_CHANGED = "kbsync_changed"
_json = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)
_MOST = 5_000
"""Number of noted rows after which they are sealed, so that a large pull needs little memory for them."""
_ROWS = 2_000
"""Rows that are in memory at once while they are read."""
_ENTRIES = 20
"""Entries of the journal that are in memory at once; each holds up to twice ``_MOST`` rows."""
_KEYS = 500
"""Keys in one query."""

Key = tuple[Any, ...]


@dataclass
class _Changes:
    """What a transaction has noted and not yet sealed."""

    keys: dict[str, dict[Key, None]] = field(default_factory=dict)
    """By table, the keys of written rows."""
    last: dict[str, int] = field(default_factory=dict)
    """For each table whose keys the database assigns: the last key before the new rows."""
    count: int = 0
    """Number of noted rows; a row may be counted twice."""


def bound() -> list[Table]:
    """The tables whose rows the journal covers: all but ``CHAINED`` and ``UNDECIDING``."""
    return [table for table in tables.metadata.sorted_tables if is_bound(table)]


def is_bound(table: Table) -> bool:
    """Whether the journal covers the table's rows."""
    return table.name not in CHAINED and table.name not in UNDECIDING


def key_columns(table: Table) -> list[Column[Any]]:
    """The primary key."""
    return list(table.primary_key)


def row_hash(table: str, row: Mapping[str, Any]) -> str:
    """Hash a row as it is stored: 192 bits of SHA-256, in base64 (32 characters).

    Columns with NULL are left out, so that a column that a later schema adds changes no hash.

    Args:
        row: Its values by column, as ``stored_rows`` gives them.
    """
    values = {name: value for name, value in row.items() if value is not None}
    digest = hashlib.sha256(_json.encode([table, values]).encode("utf-8", "surrogateescape")).digest()
    return base64.b64encode(digest[:24]).decode()


def link_hash(prev: str, trail: str, body: str) -> str:
    """Hash the entry that follows the one with hash ``prev`` (``GENESIS`` for the first).

    Args:
        trail: Hash of the audit trail's newest event when the entry was made.
        body: The entry's rows, as they are stored.
    """
    return content_hash([prev, trail, body])


def head(connection: Connection) -> str:
    """Hash of the newest entry, or ``GENESIS``."""
    table = tables.row_journal
    return connection.scalar(select(table.c.hash).order_by(table.c.seq.desc()).limit(1)) or GENESIS


def _changes(connection: Connection) -> _Changes:
    changes: _Changes = connection.info.setdefault(_CHANGED, _Changes())
    return changes


def begin(connection: Connection) -> None:
    """Start noting the changes of a write transaction; notes of an earlier one that was rolled back are dropped."""
    connection.info[_CHANGED] = _Changes()


def note(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Note that the transaction is about to write rows; each mapping holds at least the key.

    In a table whose keys the database assigns, all rows that are new at the end count as noted.
    """
    if not rows or not is_bound(table):
        return
    if _changes(connection).count >= _MOST:
        seal(connection)
    changes = _changes(connection)
    names = [c.name for c in key_columns(table)]
    if names[0] in rows[0]:
        changes.keys.setdefault(table.name, {}).update(dict.fromkeys(tuple(row[n] for n in names) for row in rows))
    elif table.name not in changes.last:
        changes.last[table.name] = connection.scalar(select(func.max(table.c[names[0]]))) or 0
    changes.count += len(rows)


def seal(connection: Connection) -> None:
    """Add the hashes of all noted rows, as they are stored now, to the journal."""
    changes = _changes(connection)
    begin(connection)
    hashes: dict[str, list[tuple[Key, str | None]]] = {}
    for name, keys in changes.keys.items():
        hashes.setdefault(name, []).extend(_hashes_of(connection, tables.metadata.tables[name], list(keys)))
    for name, last in changes.last.items():
        table = tables.metadata.tables[name]
        newer = stored_rows(connection, table, key_columns(table)[0] > last)
        hashes.setdefault(name, []).extend((key, row_hash(name, row)) for key, row in newer)
    append(connection, hashes)


def append(connection: Connection, hashes: Mapping[str, Sequence[tuple[Key, str | None]]]) -> None:
    """Add an entry with the hashes of rows by table and key (None: the row was removed), unless there are none."""
    body = {name: [[*key, digest] for key, digest in found] for name, found in sorted(hashes.items()) if found}
    if not body:
        return
    events = tables.audit_events
    newest = select(events.c.hash).order_by(events.c.seq.desc()).limit(1)
    text, prev, trail = canonical_json(body), head(connection), connection.scalar(newest) or GENESIS
    row = {"size": sum(map(len, body.values())), "trail": trail, "body": body, "hash": link_hash(prev, trail, text)}
    connection.execute(tables.row_journal.insert(), row)


def stored_rows(connection: Connection, table: Table, *condition: Any) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Keys and rows as they are stored, without the domain's types and the same from both databases. Rows are fetched
    while the iterator is consumed."""
    names = [c.name for c in key_columns(table)]
    query: Select[Any] = select(literal_column("*")).select_from(table).where(*condition)
    result = connection.execute(query.execution_options(yield_per=_ROWS))
    columns, sqlite = list(result.keys()), connection.dialect.name == "sqlite"
    for values in result:
        row = dict(zip(columns, values if sqlite else map(_as_sqlite, values), strict=True))
        yield tuple(row[name] for name in names), row


def _as_sqlite(value: Any) -> Any:
    """Turn a value of PostgreSQL into the form in which SQLite, which has neither booleans nor times, stores it."""
    if isinstance(value, datetime):
        return timestamp(value)
    return int(value) if isinstance(value, bool) else value


def _hashes_of(connection: Connection, table: Table, keys: Sequence[Key]) -> Iterator[tuple[Key, str | None]]:
    """The hash of every row with one of the keys; None for rows that do not exist any more."""
    columns = key_columns(table)
    for start in range(0, len(keys), _KEYS):
        batch = keys[start : start + _KEYS]
        wanted = has_key(columns, batch)
        found = {key: row_hash(table.name, row) for key, row in stored_rows(connection, table, wanted)}
        yield from ((key, found.get(key)) for key in batch)


def entries(connection: Connection) -> Iterator[Row[Any]]:
    """All entries in order, with their bodies as stored text. They are fetched while the iterator is consumed."""
    table = tables.row_journal.c
    body = type_coerce(table.body, Text).label("body")
    query = select(table.seq, table.size, table.trail, body, table.hash).order_by(table.seq)
    yield from connection.execute(query.execution_options(yield_per=_ENTRIES))
