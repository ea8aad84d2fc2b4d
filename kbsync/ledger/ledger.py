"""The ledger in a SQL database."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import timedelta

from kbsync.ledger import examine, plan_entries, schema, shape, triggers
from kbsync.ledger.engine import PATIENCE, make_engine, parse_url, reading, writing
from kbsync.ledger.repository import tallies
from kbsync.ledger.repository.audit import SqlAuditReader, SqlAuditWriter
from kbsync.ledger.repository.fact_pages import SqlFactPageReader
from kbsync.ledger.repository.facts import SqlFactReader, SqlFactWriter
from kbsync.ledger.repository.leases import SqlLeaseReader, SqlLeaseWriter
from kbsync.ledger.repository.names import SqlNameReader, SqlNameWriter
from kbsync.ledger.repository.releases import SqlReleaseReader, SqlReleaseWriter
from kbsync.ledger.repository.statements import SqlStatementReader, SqlStatementWriter
from kbsync.ledger.repository.verdicts import SqlVerdictReader, SqlVerdictWriter
from kbsync.ledger.repository.versions import SqlVersionReader, SqlVersionWriter
from kbsync.ports import Ledger, LedgerReader, LedgerTransaction


class SqlLedgerReader(
    SqlStatementReader,
    SqlNameReader,
    SqlFactReader,
    SqlVerdictReader,
    SqlFactPageReader,
    SqlVersionReader,
    SqlReleaseReader,
    SqlAuditReader,
    SqlLeaseReader,
    LedgerReader,
):
    """Reads everything inside one consistent snapshot."""

    def examine(self, rows_heads: Collection[str], trail: Collection[str] | None) -> list[str]:
        """Examine the triggers, the form of the tables, and every row."""
        guards = triggers.problems(self._connection) + shape.problems(self._connection)
        return guards + examine.examine(self._connection, rows_heads, trail)


class SqlLedgerTransaction(
    SqlStatementWriter,
    SqlNameWriter,
    SqlFactWriter,
    SqlVerdictWriter,
    SqlVersionWriter,
    SqlReleaseWriter,
    SqlAuditWriter,
    SqlLeaseWriter,
    SqlLedgerReader,
    LedgerTransaction,
):
    """One write transaction."""

    def accept_rows(self) -> list[str]:
        """Add the hashes that altered rows have now to the row journal, and derive anew what is derived from them."""
        derived = plan_entries.problems(self._connection) + tallies.problems(self._connection)
        altered = examine.altered(self._connection) + derived
        plan_entries.restore(self._connection)
        tallies.recount(self._connection)
        examine.adopt(self._connection, ())
        return altered


class SqlLedger(Ledger):
    """A ledger in SQLite or PostgreSQL; threads may share it, each with transactions of its own."""

    def __init__(self, url: str, *, patience: timedelta = PATIENCE) -> None:
        """Open the ledger, which must exist already.

        Args:
            url: ``sqlite:////path/to/ledger.db`` or ``postgresql://user@host/database``.
            patience: How long a writer waits for another one before it raises ``Busy``.

        Raises:
            SchemaError: There is no ledger, or its schema is not this program's.
            StoreError: The database can't be reached.
            ConfigError: The URL is not one of a ledger.
        """
        self._engine = make_engine(parse_url(url), patience=patience)
        try:
            schema.require_current(self._engine)
        except BaseException:
            self._engine.dispose()
            raise

    @contextmanager
    def read(self) -> Iterator[LedgerReader]:
        """Open a read transaction. Leave the block before a long computation: an open one keeps SQLite's write-ahead
        log from shrinking."""
        with reading(self._engine) as connection:
            yield SqlLedgerReader(connection)

    @contextmanager
    def write(self) -> Iterator[LedgerTransaction]:
        """Open a write transaction; a second one must not be opened inside. Raises ``Busy`` if another writer does not
        finish in time."""
        with writing(self._engine) as connection:
            yield SqlLedgerTransaction(connection)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()
