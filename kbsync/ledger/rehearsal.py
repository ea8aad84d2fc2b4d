"""A private copy of the ledger, on which a dry run does what it would do: exact, and nobody else sees anything of it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import delete, select

from kbsync.ledger import schema
from kbsync.ledger import tables as t
from kbsync.ledger.backup import copy_sqlite
from kbsync.ledger.engine import make_engine, parse_url, reading, sqlite_url, writing

_ROWS = 1000
"""Rows that are copied at a time from PostgreSQL."""


@contextmanager
def rehearsal(url: str) -> Iterator[str]:
    """The URL of a copy in SQLite, without leases; it is gone after the block.

    The original is read in one snapshot, and blocks no writer. Raises ``SchemaError`` and ``StoreError`` as a ledger does.
    """
    parsed = parse_url(url)
    with tempfile.TemporaryDirectory(prefix="kbsync-dry-run-") as directory:
        file = Path(directory) / "ledger.sqlite3"
        original = make_engine(parsed)
        try:
            schema.require_current(original)
            if parsed.get_backend_name() == "sqlite":
                copy_sqlite(Path(str(parsed.database)), file)
            copy = sqlite_url(file)
            schema.upgrade(copy)
            engine = make_engine(parse_url(copy), foreign_keys=False)
            try:
                with writing(engine) as target:
                    if parsed.get_backend_name() != "sqlite":
                        with reading(original) as source:
                            for table in t.metadata.sorted_tables:
                                found = source.execute(select(table).execution_options(yield_per=_ROWS))
                                for rows in found.mappings().partitions():
                                    target.execute(table.insert(), [dict(row) for row in rows])
                    # Whoever works at the moment holds the original, not the copy.
                    target.execute(delete(t.leases))
            finally:
                engine.dispose()
        finally:
            original.dispose()
        yield copy
