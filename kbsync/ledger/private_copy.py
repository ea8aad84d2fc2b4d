"""A private copy of the ledger: what every dry run works on.

A dry run does exactly what the real command would, in the same transactions, and deletes the copy afterwards. So it
shows exactly what would be changed, and other processes neither see it nor wait for it. A transaction that is rolled
back at the end would block every real writer meanwhile, and could not span a command of several transactions.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import select, update

from kbsync.ledger import schema, tables
from kbsync.ledger.backup import copy_sqlite
from kbsync.ledger.engine import opened, parse_url, reading, sqlite_url, writing

_ROWS = 1000
"""Rows that are copied at a time from PostgreSQL."""


@contextmanager
def private_copy(url: str) -> Iterator[str]:
    """Copy the ledger at ``url`` into a SQLite file that is gone after the block.

    The original is read in one snapshot, which blocks no writer. In the copy nobody holds a lease, since a process that
    is working now holds that of the original.

    Yields:
        The copy's URL.

    Raises:
        SchemaError: The ledger's schema is not this program's.
        StoreError: The ledger can't be read.
    """
    parsed = parse_url(url)
    with tempfile.TemporaryDirectory(prefix="kbsync-dry-run-") as directory:
        file = Path(directory) / "ledger.sqlite3"
        with opened(parsed) as original:
            schema.require_current(original)
            if parsed.get_backend_name() == "sqlite":
                copy_sqlite(Path(str(parsed.database)), file)
            copy = sqlite_url(file)
            schema.upgrade(copy)
            with opened(parse_url(copy), foreign_keys=False) as engine, writing(engine) as target:
                if parsed.get_backend_name() != "sqlite":
                    with reading(original) as source:
                        for table in tables.metadata.sorted_tables:
                            result = source.execute(select(table).execution_options(yield_per=_ROWS))
                            for rows in result.mappings().partitions():
                                target.execute(table.insert(), [dict(row) for row in rows])
                target.execute(update(tables.leases).values(holder=None, expires=None, process=None))
        yield copy
