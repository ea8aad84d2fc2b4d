"""Triggers that keep the append-only tables append-only, on both databases.

They are installed after every schema upgrade, and not by single migrations: Alembic's batch mode rebuilds a table on
SQLite, and the rebuilt table has lost its triggers. Installing is idempotent.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from kbsync.ledger.tables import APPEND_ONLY

_REFUSE = """
CREATE OR REPLACE FUNCTION kbsync_refuse() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
$body$
"""


def install(connection: Connection) -> None:
    """Create the triggers that are missing, for those append-only tables that exist."""
    present = set(inspect(connection).get_table_names())
    append_only = [table.name for table in APPEND_ONLY if table.name in present]
    if connection.dialect.name == "postgresql" and append_only:
        connection.execute(text(_REFUSE))
    for table in append_only:
        for name, event in _triggers(connection, table).items():
            connection.execute(text(_definition(connection, table, name, event)))


def missing(connection: Connection) -> list[str]:
    """Names of triggers that do not exist or are switched off."""
    if connection.dialect.name == "sqlite":
        query = "SELECT name FROM sqlite_master WHERE type = 'trigger'"
    else:
        query = "SELECT tgname FROM pg_trigger WHERE tgenabled IN ('O', 'A') AND NOT tgisinternal"
    active = set(connection.scalars(text(query)))
    demanded = [name for table in APPEND_ONLY for name in _triggers(connection, table.name)]
    return [name for name in demanded if name not in active]


def _triggers(connection: Connection, table: str) -> dict[str, str]:
    """Trigger names, and the event that each refuses (SQLite has no TRUNCATE)."""
    events = ["UPDATE", "DELETE"] + (["TRUNCATE"] if connection.dialect.name == "postgresql" else [])
    return {f"{table}_no_{event.lower()}": event for event in events}


def _definition(connection: Connection, table: str, name: str, event: str) -> str:
    if connection.dialect.name == "sqlite":
        return (
            f"CREATE TRIGGER IF NOT EXISTS {name} BEFORE {event} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    return (
        f"CREATE OR REPLACE TRIGGER {name} BEFORE {event} ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION kbsync_refuse()"
    )
