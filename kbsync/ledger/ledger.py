"""The ledger port on SQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from kbsync.ledger import schema
from kbsync.ledger.engine import PATIENCE, make_engine, parse_url, reading, writing
from kbsync.ledger.repository.audit import SqlAuditReader, SqlAuditWriter
from kbsync.ledger.repository.facts import SqlFactReader, SqlFactWriter
from kbsync.ledger.repository.leases import SqlLeaseReader, SqlLeaseWriter
from kbsync.ledger.repository.releases import SqlReleaseReader, SqlReleaseWriter
from kbsync.ledger.repository.statements import SqlStatementReader, SqlStatementWriter
from kbsync.ledger.repository.versions import SqlVersionReader, SqlVersionWriter
from kbsync.ports import Ledger, LedgerReader, LedgerTransaction


class SqlLedgerReader(
    SqlStatementReader, SqlFactReader, SqlVersionReader, SqlReleaseReader, SqlAuditReader, SqlLeaseReader, LedgerReader
):
    """One consistent read."""


class SqlLedgerTransaction(
    SqlStatementWriter,
    SqlFactWriter,
    SqlVersionWriter,
    SqlReleaseWriter,
    SqlAuditWriter,
    SqlLeaseWriter,
    LedgerTransaction,
):
    """One write transaction."""


class SqlLedger(Ledger):
    """A ledger in SQLite or PostgreSQL; may be shared by threads, each with transactions of its own.

    ``url``: ``sqlite:////path/to/ledger.db`` or ``postgresql://user@host/database``; ``patience``: how long a writer
    waits for the one before it, until ``Busy``. Raises ``SchemaError`` where the schema is not this program's,
    ``StoreError`` where the database can't be reached, ``ConfigError`` for a URL that makes no sense.
    """

    def __init__(self, url: str, *, patience: timedelta = PATIENCE) -> None:
        self._engine = make_engine(parse_url(url), patience=patience)
        try:
            schema.require_current(self._engine)
        except BaseException:
            self._engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[LedgerReader]:
        """A long read keeps SQLite's write-ahead log from shrinking: ask, leave the block, then compute."""
        with reading(self._engine) as connection:
            yield SqlLedgerReader(connection)

    @contextmanager
    def write(self) -> Iterator[LedgerTransaction]:
        """Raises ``Busy`` when another writer does not finish in time; never open a second one inside."""
        with writing(self._engine) as connection:
            yield SqlLedgerTransaction(connection)

    def close(self) -> None:
        self._engine.dispose()
