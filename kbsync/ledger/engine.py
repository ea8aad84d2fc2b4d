"""Connections and transactions: opens and locks both databases, and turns their errors into kbsync's own.

Only one writer works at a time: SQLite ensures it by ``BEGIN IMMEDIATE``, PostgreSQL by an advisory lock that the
transaction holds. Readers see one snapshot and wait for nobody (WAL on SQLite, repeatable read on PostgreSQL).
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, StatementError

from kbsync.domain.errors import Busy, ConfigError, KbsyncError, LedgerDown, StoreError
from kbsync.ledger import row_journal
from kbsync.system.hidden import MASK, hidden, secrets_in_url, shown_url

PATIENCE = timedelta(seconds=30)
"""How long a writer waits for another one to finish."""

_WRITE_LOCK = int.from_bytes(b"kbsync")
_WRITER = "kbsync_writer"
SCHEMA = "schema"
"""The parameter of a URL that kbsync itself reads: the PostgreSQL schema that holds the ledger."""


def sqlite_url(path: Path) -> str:
    """The URL of a ledger in a SQLite file."""
    return URL.create("sqlite", database=str(path)).render_as_string()


def parse_url(url: str) -> URL:
    """Parse the URL of a SQLite file or a PostgreSQL database, whatever driver it names; raises ``ConfigError``, which
    does not repeat the URL."""
    try:
        parsed = make_url(re.sub(r"^postgres(?=[+:])", "postgresql", url))  # the short name that libpq knows, too
    except (ArgumentError, ValueError):
        raise ConfigError(["the ledger's URL can't be read"], next_step=_URL_HELP) from None
    backend = parsed.get_backend_name()
    if backend == "postgresql":
        if not isinstance(parsed.query.get(SCHEMA, ""), str):
            raise ConfigError([f"the ledger's URL names more than one {SCHEMA}"], next_step=_URL_HELP)
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise ConfigError([f"the ledger can't live in {backend!r}"], next_step=_URL_HELP)
    if parsed.database in (None, "", ":memory:"):
        raise ConfigError(["the ledger needs a file, not a database in memory"], next_step=_URL_HELP)
    if "?" in url or parsed.database.startswith("file:"):
        what = "the ledger's URL names a SQLite file with options, which are not read"
        raise ConfigError([what], next_step="Write a question mark of the path as %3F.")
    return parsed.set(drivername="sqlite", database=str(Path(parsed.database).expanduser()))


_URL_HELP = (
    "Write sqlite:////path/to/ledger.db or postgresql://user@host/database (several hosts: "
    "postgresql:///database?host=one:5432&host=two:5432)."
)


def place(url: URL) -> str:
    """Where the ledger is, for messages: without user, password and options."""
    if url.get_backend_name() == "sqlite":
        return str(url.database)
    bare = URL.create("postgresql", host=url.host, port=url.port, database=url.database)
    own = schema_of(url)
    return shown_url(bare.render_as_string()) + (f"?{SCHEMA}={own}" if own else "")


def schema_of(url: URL) -> str | None:
    """The PostgreSQL schema that a URL names; None: the user's own default, mostly ``public``."""
    named = url.query.get(SCHEMA)
    return named if isinstance(named, str) else None


def write_lock(schema: str | None) -> int:
    """The key of a writer's lock. It differs by schema, so that two ledgers in one database don't wait for each
    other."""
    if schema is None:
        return _WRITE_LOCK
    return int.from_bytes(sha256(f"kbsync {schema}".encode()).digest()[:7])


def make_engine(url: URL, *, patience: timedelta = PATIENCE, foreign_keys: bool = True) -> Engine:
    """An engine for ``reading`` and ``writing``; it connects to nothing yet.

    Args:
        url: What ``parse_url`` gave.
        patience: How long a writer waits for another one before it raises ``Busy``.
        foreign_keys: Whether SQLite checks them. Migrations switch this off, because SQLite drops a table in order to
            rebuild it.

    Raises:
        ConfigError: The package for PostgreSQL is not installed.
    """
    seconds = patience.total_seconds()
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, hide_parameters=True, connect_args={"timeout": seconds, "isolation_level": None})
        _prepare_sqlite(engine, foreign_keys)
        return engine
    # No statement is prepared: a pooler may give each transaction another server connection, on which a statement of
    # that name is unknown or is a different one.
    # The encoding is set, too, because the environment's (PGCLIENTENCODING) may not hold every name.
    fixed: dict[str, Any] = {"prepare_threshold": None, "client_encoding": "utf8"}
    usual = {"application_name": "kbsync", "connect_timeout": 10}
    connect_args = fixed | {name: value for name, value in usual.items() if name not in url.query}
    schema, driver_url = schema_of(url), url.difference_update_query([SCHEMA, *fixed])
    try:
        engine = create_engine(driver_url, hide_parameters=True, pool_pre_ping=True, connect_args=connect_args)
    except ModuleNotFoundError as error:
        what = f"a ledger in PostgreSQL needs the package {error.name}"
        raise ConfigError([what], next_step="Install it: pip install 'kbsync[postgres]'.") from error
    engine.url = url  # for messages
    if schema:
        _stay_in(engine, schema)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get(_WRITER):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {int(seconds * 1000)}")
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": write_lock(schema)})

    return engine


def _stay_in(engine: Engine, schema: str) -> None:
    """Let every transaction find its tables in ``schema``.

    Each transaction sets it, and not each connection: behind a pooler the next transaction may use another connection.
    """
    path = engine.dialect.identifier_preparer.quote_identifier(schema)

    @event.listens_for(engine, "engine_connect")
    def connected(connection: Connection) -> None:
        connection.dialect.default_schema_name = schema

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(f"SET LOCAL search_path TO {path}")


@contextmanager
def opened(url: URL, *, foreign_keys: bool = True) -> Iterator[Engine]:
    """An engine, as ``make_engine`` makes it, whose connections are closed after the block."""
    engine = make_engine(url, foreign_keys=foreign_keys)
    try:
        yield engine
    finally:
        engine.dispose()


def connect_sqlite(file: Path, **options: Any) -> sqlite3.Connection:
    """Open a SQLite file for writing, or only for reading if this user may not write it.

    SQLite reads a ledger in WAL mode through its ``-wal`` and ``-shm`` files, and makes them if they are missing. A
    user who can't make them reads the file alone, which is complete if there is no ``-wal`` file.
    """
    connection: sqlite3.Connection
    file = file.resolve()  # SQLite keeps its other files beside the file itself, not beside a link to it
    if not os.access(file, os.F_OK) or (os.access(file, os.W_OK) and os.access(file.parent, os.W_OK)):
        connection = sqlite3.connect(file, **options)
        return connection
    beside = file.with_name(file.name + "-wal")
    how = "mode=ro" if beside.exists() and beside.stat().st_size else "mode=ro&immutable=1"
    connection = sqlite3.connect(f"file:{quote(str(file))}?{how}", uri=True, **options)
    return connection


def _prepare_sqlite(engine: Engine, foreign_keys: bool) -> None:
    file = Path(str(engine.url.database))

    @event.listens_for(engine, "do_connect")
    def open_file(_dialect: object, _record: object, _args: list[Any], options: dict[str, Any]) -> sqlite3.Connection:
        return connect_sqlite(file, **options)

    @event.listens_for(engine, "connect")
    def connect(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA foreign_keys = {'ON' if foreign_keys else 'OFF'}")
        # INSERT OR REPLACE removes rows; without this the triggers that refuse a DELETE would not see it.
        connection.execute("PRAGMA recursive_triggers = ON")
        with _writable_or_not():
            connection.execute("PRAGMA journal_mode = WAL")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writer = connection.get_execution_options().get(_WRITER)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writer else "BEGIN")


@contextmanager
def _writable_or_not() -> Iterator[None]:
    """Ignore the error that a file can't be written, because a reader need not write it."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF != sqlite3.SQLITE_READONLY:
            raise


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Open a read transaction: one snapshot, taken at the first query."""
    options: dict[str, Any] = {}
    if engine.dialect.name == "postgresql":
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    with translated(engine.url), engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Open the only write transaction: it commits at the end of the block, and rolls back on any exception.

    Before the commit, the written rows are added to the row journal. A thread must not open a second write transaction
    inside the block.

    Raises:
        Busy: Another writer did not finish in time.
    """
    with (
        translated(engine.url),
        engine.connect().execution_options(**{_WRITER: True}) as connection,
        connection.begin(),
    ):
        row_journal.begin(connection)
        yield connection
        if connection.in_transaction():  # and not rolled back by the block itself
            row_journal.seal(connection)


@contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn the driver's errors into ``Busy``, ``LedgerDown`` and ``StoreError``, and unwrap the errors that the column
    types raise."""
    try:
        yield
    except DBAPIError as error:
        raise _translate(error, url) from error
    except StatementError as error:
        if isinstance(error.orig, KbsyncError):
            raise error.orig from None
        raise


def _translate(error: DBAPIError, url: URL) -> KbsyncError:
    where, cause = place(url), error.orig
    message = _without_password(" ".join(str(cause).split()), url)
    if isinstance(cause, sqlite3.Error):
        # The low byte is the primary result code; the rest of the number refines it.
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        busy, next_step = code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED), _SQLITE_HELP.get(code, "")
    else:
        state = getattr(cause, "sqlstate", None)
        busy, next_step = state == "55P03", ""
        if state is None and type(cause).__name__ == "ProgrammingError":  # it found a mistake before it connected
            what = f"The ledger {where} can't be opened: {message}."
            return StoreError(what, next_step="Correct the options in database_url; ?schema=NAME names a schema.")
        if state is None or state.startswith(("08", "57P")):  # no connection; the server stops, starts or crashed
            return LedgerDown(
                f"The ledger {where} can't be reached: {message}.", kept=_KEPT, next_step=next_step or _POSTGRES_HELP
            )
        next_step = next_step or _STATE_HELP.get(state, "")
    if busy:
        return Busy(f"Another process is writing to the ledger {where}.", next_step="Try again in a moment.")
    next_step = next_step or "`kbsync db check` examines the ledger."
    return StoreError(f"The ledger {where} failed: {message}.", next_step=next_step)


_KEPT = "What was committed is kept; the transaction that was cut off left nothing."
_DIRECTORY = "Check that its directory exists, and that this user may write to the directory and the file."
_SQLITE_HELP = {
    sqlite3.SQLITE_CANTOPEN: _DIRECTORY,
    sqlite3.SQLITE_READONLY: _DIRECTORY,
    sqlite3.SQLITE_PERM: _DIRECTORY,
    sqlite3.SQLITE_IOERR: "Check the disk.",
    sqlite3.SQLITE_FULL: "Make room on the disk.",
    sqlite3.SQLITE_CORRUPT: "The file is damaged: stop kbsync and restore it from a backup.",
    sqlite3.SQLITE_NOTADB: "This is no SQLite file: check the configured path.",
}
_STATE_HELP = {
    "25006": "The database can only be read here (a replica?): name the primary server in database_url.",
    "42501": "Give the database's user the right to it, or name another user in database_url.",
}
_POSTGRES_HELP = "Check that the server runs, that the URL names it rightly, and that its password is right."


def _without_password(message: str, url: URL) -> str:
    for secret in (url.password, *secrets_in_url(url.render_as_string(hide_password=False))):
        if secret:
            message = message.replace(str(secret), MASK)
    return hidden(message).rstrip(".?")
