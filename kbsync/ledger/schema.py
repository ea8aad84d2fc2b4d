"""The schema: upgrades it, requires the right one, and checks all that a database can prove about itself."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import URL, Connection, Engine, and_, exists, func, inspect, select, text
from sqlalchemy.schema import CreateSchema

from kbsync.domain import audit, history
from kbsync.domain.audit import AuditEvent
from kbsync.domain.errors import Damaged, SchemaError, StoreError
from kbsync.ledger import shape, tables, triggers
from kbsync.ledger.altered import altered_rows
from kbsync.ledger.engine import opened, parse_url, place, reading, schema_of, writing
from kbsync.ledger.examine import adopt, examine
from kbsync.ledger.repository import tallies
from kbsync.ledger.repository.audit import SqlAuditReader
from kbsync.ledger.repository.statements import SqlStatementReader
from kbsync.ledger.repository.versions import count_plans
from kbsync.ledger.row_journal import Key

if TYPE_CHECKING:
    from alembic.config import Config

REVISION = "0011"
"""The schema revision that this program works with: the newest of ``migrations/versions``, numbered in order."""
VERSION_TABLE = "kbsync_version"
"""Holds the revision. Not ``alembic_version``, as in early ledgers: other programs that use Alembic have theirs
there."""
_FIRST_VERSION_TABLE = "alembic_version"
_SINCE_THE_FIRST = {"audit_events", "statement_history", "watermarks"}
"""Tables that every ledger has had. A database with them and ``alembic_version`` holds an early ledger."""


def migrations_directory() -> Path:
    """Where the migrations are: inside an installed package, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    packaged = package / "share" / "migrations"
    return packaged if packaged.is_dir() else package.parent / "migrations"


def upgrade(url: str) -> None:
    """Create the ledger, or bring an older one to ``REVISION``, in one transaction; a current one stays as it is.

    Raises:
        SchemaError: A newer kbsync made the ledger.
        StoreError: The ledger can't be written or reached, or the upgrade would break a reference.
    """
    from alembic import command

    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite":
        _make_directory(Path(str(parsed.database)).parent)
    with opened(parsed, foreign_keys=False) as engine, writing(engine) as connection:
        own = schema_of(parsed)
        _require_unicode(connection, parsed)
        if own:
            connection.execute(CreateSchema(own, if_not_exists=True))
        stored = revision(connection)
        if stored is not None and stored > REVISION:
            raise _newer(place(parsed), stored)
        if stored is None:
            _require_room(connection, parsed)
        elif not inspect(connection).has_table(VERSION_TABLE):
            connection.exec_driver_sql(f"ALTER TABLE {_FIRST_VERSION_TABLE} RENAME TO {VERSION_TABLE}")
        altered = _altered_before(connection, stored)
        command.upgrade(alembic_config(connection), "head")
        broken = _broken_references(connection)
        if broken:
            raise StoreError(f"The upgrade of {place(parsed)} would break the ledger: {'; '.join(broken)}.")
        if stored not in (None, REVISION):
            tallies.recount(connection)
            count_plans(connection)
            adopt(connection, altered)


def _altered_before(connection: Connection, stored: str | None) -> set[tuple[str, Key]]:
    """Rows that something other than kbsync altered before the upgrade; the upgrade must not accept them."""
    if stored in (None, REVISION) or not inspect(connection).has_table(tables.row_journal.name):
        return set()
    return {(row.table, row.key) for row in altered_rows(connection)}


def alembic_config(connection: Connection) -> Config:
    """The configuration for Alembic's commands, which then work inside the open transaction of ``connection``."""
    # Alembic is imported here, so that other commands need not load it.
    from alembic.config import Config

    # Alembic's own default is whatever was the standard output when it was first imported.
    config = Config(stdout=sys.stdout)
    config.set_main_option("script_location", str(migrations_directory()).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"The ledger's directory {directory} can't be made: {error.strerror}.",
            next_step="Configure another place, or give this user the right to write there.",
        ) from error


def revision(connection: Connection) -> str | None:
    """The schema revision that the database names; None if it holds no ledger."""
    present = set(inspect(connection).get_table_names())
    holder = VERSION_TABLE
    if holder not in present and present >= _SINCE_THE_FIRST:
        holder = _FIRST_VERSION_TABLE
    if holder not in present:
        return None
    stored: str | None = connection.scalar(text(f"SELECT version_num FROM {holder}"))
    return stored


def _require_unicode(connection: Connection, url: URL) -> None:
    """Raise ``SchemaError`` if the database can't hold every name; all of SQLite's can."""
    if connection.dialect.name == "postgresql":
        encoding = connection.scalar(text("SHOW server_encoding"))
        if encoding != "UTF8":
            raise SchemaError(
                f"{place(url)} is in the encoding {encoding}, which can't hold every name.",
                kept="Nothing was changed.",
                next_step="Name another database: CREATE DATABASE name ENCODING 'UTF8' TEMPLATE template0.",
            )


def _require_room(connection: Connection, url: URL) -> None:
    """Raise ``SchemaError`` if another program has tables of the same names."""
    taken = sorted(set(inspect(connection).get_table_names()) & set(tables.metadata.tables))
    if taken:
        raise SchemaError(
            f"{place(url)} holds tables of another program that have the names of a ledger's: {', '.join(taken)}.",
            kept="Nothing was changed.",
            next_step="Name an empty database, or (PostgreSQL) a schema: add ?schema=kbsync to database_url.",
        )


def revision_at(url: str) -> str | None:
    """The schema revision of the ledger at ``url``; None if there is none. Creates nothing.

    Raises:
        SchemaError: A newer kbsync made the ledger.
        StoreError: The ledger can't be reached.
    """
    with opened(parse_url(url)) as engine:
        stored = _revision_of(engine)
    if stored is not None and stored > REVISION:
        raise _newer(place(parse_url(url)), stored)
    return stored


def _revision_of(engine: Engine) -> str | None:
    if engine.dialect.name == "sqlite" and not _exists(Path(str(engine.url.database))):
        return None
    with reading(engine) as connection:
        return revision(connection)


def require_current(engine: Engine) -> None:
    """Raise ``SchemaError`` unless the schema is exactly ``REVISION``. Creates nothing."""
    where = place(engine.url)
    stored = _revision_of(engine)
    if stored == REVISION:
        return
    if stored is None:
        raise SchemaError(f"There is no ledger at {where}.", next_step="Make one: `kbsync db upgrade`.")
    if stored > REVISION:
        raise _newer(where, stored)
    raise SchemaError(
        f"The ledger at {where} has schema {stored}, and this kbsync works with {REVISION}.",
        next_step="Run `kbsync db upgrade`.",
    )


def _exists(path: Path) -> bool:
    """Whether the file exists. It is not opened, because that would make an empty file."""
    try:
        return path.exists()
    except OSError as error:
        raise StoreError(
            f"The ledger {path} can't be reached: {error.strerror}.",
            next_step="Give this user the right to read and write there.",
        ) from error


def _newer(where: str, stored: str) -> SchemaError:
    return SchemaError(
        f"The ledger at {where} has schema {stored}, which a newer kbsync made; this one works with {REVISION}.",
        next_step="Upgrade kbsync.",
    )


def check(url: str) -> list[str]:
    """Examine the whole ledger; returns a sentence for each problem, and nothing if it is sound.

    Raises:
        StoreError: The ledger can't be reached.
    """
    with opened(parse_url(url)) as engine:
        try:
            require_current(engine)
        except SchemaError as error:
            return [str(error)]
        with reading(engine) as connection:
            problems = shape.problems(connection) + _broken_references(connection)
            events, broken = _events(connection)
            anchors = {str(e.body["history"]) for e in events if e.kind == "pull" and "history" in e.body}
            links = SqlStatementReader(connection).history_links()
            problems += [f"the statement history is broken: {what}" for what in history.verify(links, anchors)]
            heads = {str(e.body[audit.ROWS]) for e in events if audit.ROWS in e.body}
            trail = None if broken else {e.hash for e in events}
            problems += triggers.problems(connection) + examine(connection, heads, trail)
        return problems + ([f"the audit trail is broken: {broken}"] if broken else [])


def _events(connection: Connection) -> tuple[list[AuditEvent], str | None]:
    """The audit trail, and what is wrong with it."""
    try:
        events = SqlAuditReader(connection).audit()
    except Damaged as error:
        return [], error.what
    return events, audit.verify(events)


def _broken_references(connection: Connection) -> list[str]:
    """Foreign keys whose row is missing. Rows that were written while the constraints were off may have such keys."""
    problems = []
    for table in tables.metadata.sorted_tables:
        for key in table.foreign_key_constraints:
            parent = key.referred_table.alias()
            refers = and_(*(e.parent == parent.c[e.column.name] for e in key.elements))
            is_set = and_(*(e.parent.is_not(None) for e in key.elements))
            orphans = select(func.count()).select_from(table).where(is_set, ~exists().select_from(parent).where(refers))
            count = connection.scalar(orphans)
            if count:
                problems.append(
                    f"{count} rows of {table.name} refer to rows of {key.referred_table.name} that are gone"
                )
    return problems
