"""Which rows are not as kbsync wrote them last, by the row journal.

The journal is read once, and every table once. Neither fits into memory, so both are spread over temporary files by the
digest of table and key, 40 bytes a row, and compared file by file. What that takes grows with the number of rows and of
their changes, and with nothing else.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterator, Sequence
from contextlib import ExitStack
from hashlib import sha256
from typing import IO, NamedTuple

from sqlalchemy import Connection, Table, func, inspect, select

from kbsync.ledger import row_journal, tables
from kbsync.ledger.row_journal import Key

ADDED, CHANGED, REMOVED = "was added", "was changed", "was removed"
_DIGEST, _HASH = 16, 24
_GONE = bytes(_HASH)
_SHARE = 300_000
"""Records of about so many rows and changes are compared at once."""
_MOST_SHARES = 200
_BLOCK = 1 << 20


class AlteredRow(NamedTuple):
    """A row that is not as kbsync wrote it."""

    table: str
    key: Key
    what: str
    """``was added``, ``was changed`` or ``was removed``."""
    hash: str | None
    """The hash that it has now; None where it is gone."""


def altered_rows(connection: Connection) -> Iterator[AlteredRow]:
    """Rows that are not what the journal holds of them."""
    # As a fraction, since the sum of what somebody else wrote may be no whole number that a database has.
    journaled = float(connection.scalar(select(func.sum(tables.row_journal.c.size * 1.0))) or 0)
    if not journaled:
        for table in _present(connection):
            for key, row in row_journal.stored_rows(connection, table):
                yield AlteredRow(table.name, key, ADDED, row_journal.row_hash(table.name, row))
        return
    wrong = _compared(connection, journaled)
    if not wrong:
        return
    for table in _present(connection):
        for key, row in row_journal.stored_rows(connection, table):
            what = wrong.pop(_digest(table.name, key), None)
            if what:
                yield AlteredRow(table.name, key, what, row_journal.row_hash(table.name, row))
    yield from _removed(connection, wrong)


def _present(connection: Connection) -> list[Table]:
    """The tables whose rows the journal holds; those of a schema that is upgraded only now are not there yet."""
    there = set(inspect(connection).get_table_names())
    return [table for table in row_journal.bound() if table.name in there]


def _compared(connection: Connection, journaled: float) -> dict[bytes, str]:
    """By the digest of table and key, what is wrong with a row."""
    shares = max(1, int(min(_MOST_SHARES, 1 + 2 * journaled // _SHARE)))
    wrong: dict[bytes, str] = {}
    with ExitStack() as closing:
        written, stored = ([closing.enter_context(tempfile.TemporaryFile()) for _ in range(shares)] for _ in range(2))
        for name, key, row_hash in _journaled(connection):
            _spread(written, _digest(name, key), _GONE if row_hash is None else _short(row_hash))
        for table in _present(connection):
            for key, row in row_journal.stored_rows(connection, table):
                _spread(stored, _digest(table.name, key), _short(row_journal.row_hash(table.name, row)))
        for before, now in zip(written, stored, strict=True):
            expected = dict(_records(before))
            for digest, found in _records(now):
                if (known := expected.pop(digest, _GONE)) != found:
                    wrong[digest] = ADDED if known == _GONE else CHANGED
            wrong |= {digest: REMOVED for digest, found in expected.items() if found != _GONE}
    return wrong


def _spread(files: Sequence[IO[bytes]], digest: bytes, found: bytes) -> None:
    files[int.from_bytes(digest[:4]) % len(files)].write(digest + found)


def _records(file: IO[bytes]) -> Iterator[tuple[bytes, bytes]]:
    file.seek(0)
    size = _DIGEST + _HASH
    while block := file.read(_BLOCK // size * size):
        for start in range(0, len(block), size):
            yield block[start : start + _DIGEST], block[start + _DIGEST : start + size]


def _removed(connection: Connection, gone: Collection[bytes]) -> Iterator[AlteredRow]:
    """The keys of rows that are gone, of which only the digests are known."""
    told = set()
    if not gone:
        return
    for table, key, _ in _journaled(connection):
        digest = _digest(table, key)
        if digest in gone and digest not in told:
            told.add(digest)
            yield AlteredRow(table, key, REMOVED, None)


def _journaled(connection: Connection) -> Iterator[tuple[str, Key, str | None]]:
    """Table, key and hash of every row in the journal, in order; entries that can't be read are the chain's problem.

    Rows of tables that an earlier kbsync bound to the journal, and that have another proof by now, are left out.
    """
    names = {table.name for table in row_journal.bound()}
    for entry in row_journal.entries(connection):
        try:
            body = json.loads(entry.body)
            found = [(table, tuple(row[:-1]), row[-1]) for table, rows in body.items() for row in rows]
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            continue
        yield from (row for row in found if row[0] in names)


def _digest(table: str, key: Key) -> bytes:
    return sha256("\0".join((table, *map(str, key))).encode("utf-8", "surrogateescape")).digest()[:_DIGEST]


def _short(row_hash: object) -> bytes:
    """The hash of a row in as many bytes as all others have."""
    return sha256(str(row_hash).encode("utf-8", "surrogateescape")).digest()[:_HASH]
