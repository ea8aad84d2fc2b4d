"""Triggers that keep the append-only tables append-only, on both databases.

They are installed after every schema upgrade, and not by single migrations: Alembic's batch mode rebuilds a table on
SQLite, and the rebuilt table has no triggers. Installing again is harmless, and repairs a trigger that was redefined.
Triggers are compared by their definition and not only by their name. Anything else on a table that could drop or hide
rows (foreign triggers, rules, row security) is reported as a problem.
"""

from __future__ import annotations

from sqlalchemy import Connection, inspect, text

from kbsync.ledger import tables
from kbsync.ledger.tables import APPEND_ONLY

_HERE = "(SELECT n.oid FROM pg_namespace n WHERE n.nspname = current_schema())"
"""The schema in which PostgreSQL has the ledger's tables."""
_FUNCTION = "kbsync_refuse"
_BODY = """
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END
"""
_TYPES = {"UPDATE": 2 | 16, "DELETE": 2 | 8, "TRUNCATE": 2 | 32}
"""``pg_trigger.tgtype`` of a trigger before the event, once a statement."""


def install(connection: Connection) -> None:
    """Create the triggers that are missing or redefined, for those append-only tables that exist."""
    present = set(inspect(connection).get_table_names())
    append_only = [table.name for table in APPEND_ONLY if table.name in present]
    if connection.dialect.name == "postgresql" and append_only:
        returns = "RETURNS trigger LANGUAGE plpgsql"
        connection.execute(text(f"CREATE OR REPLACE FUNCTION {_FUNCTION}() {returns} AS $body${_BODY}$body$"))
    found = _sqlite_triggers(connection) if connection.dialect.name == "sqlite" else {}
    for table in append_only:
        for name, event in _triggers(connection, table).items():
            definition = _definition(connection, table, name, event)
            if name in found and found[name] != definition:
                connection.execute(text(f"DROP TRIGGER {name}"))
            if found.get(name) != definition:
                connection.execute(text(definition))


def problems(connection: Connection) -> list[str]:
    """A sentence for each trigger that is missing, switched off or redefined, and for anything else that could drop or
    hide rows."""
    found = _sqlite_problems(connection) if connection.dialect.name == "sqlite" else _postgresql_problems(connection)
    return [f"the trigger {name} is missing or switched off" for name in missing(connection)] + found


def missing(connection: Connection) -> list[str]:
    """Names of triggers that do not exist on their table, do not do what they should, or are switched off."""
    if connection.dialect.name == "sqlite":
        found = _sqlite_triggers(connection)
        active = {
            name
            for table in APPEND_ONLY
            for name, event in _triggers(connection, table.name).items()
            if found.get(name) == _definition(connection, table.name, name, event)
        }
    else:
        active = _postgresql_triggers(connection)
    return [name for table in APPEND_ONLY for name in _triggers(connection, table.name) if name not in active]


def _triggers(connection: Connection, table: str) -> dict[str, str]:
    """Trigger names, and the event that each refuses (SQLite has no TRUNCATE)."""
    events = ["UPDATE", "DELETE"] + (["TRUNCATE"] if connection.dialect.name == "postgresql" else [])
    return {f"{table}_no_{event.lower()}": event for event in events}


def _definition(connection: Connection, table: str, name: str, event: str) -> str:
    if connection.dialect.name == "sqlite":
        return (
            f"CREATE TRIGGER {name} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        )
    return (
        f"CREATE OR REPLACE TRIGGER {name} BEFORE {event} ON {table} FOR EACH STATEMENT EXECUTE FUNCTION {_FUNCTION}()"
    )


def _sqlite_triggers(connection: Connection) -> dict[str, str]:
    """The definition of every trigger by name, in the form in which this program writes it."""
    rows = connection.execute(text("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"))
    return {name: str(sql).replace("CREATE TRIGGER IF NOT EXISTS ", "CREATE TRIGGER ") for name, sql in rows}


def _sqlite_problems(connection: Connection) -> list[str]:
    own = {name for table in APPEND_ONLY for name in _triggers(connection, table.name)}
    return [f"the trigger {name} is not kbsync's" for name in sorted(_sqlite_triggers(connection)) if name not in own]


def _postgresql_triggers(connection: Connection) -> set[str]:
    """Names of our triggers that are on their table in the ledger's schema and do what they should."""
    if not _function_is_whole(connection):
        return set()
    query = text(
        f"""
        SELECT t.tgname, c.relname, t.tgtype FROM pg_trigger t
        JOIN pg_class c ON c.oid = t.tgrelid
        JOIN pg_proc f ON f.oid = t.tgfoid
        WHERE NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgqual IS NULL AND t.tgattr = ''::int2vector
          AND c.relnamespace = {_HERE}
          AND f.proname = :function AND f.pronamespace = {_HERE} AND f.pronargs = 0
        """
    )
    found = {(name, table, kind) for name, table, kind in connection.execute(query, {"function": _FUNCTION})}
    return {
        name
        for table in APPEND_ONLY
        for name, event in _triggers(connection, table.name).items()
        if (name, table.name, _TYPES[event]) in found
    }


def _function_is_whole(connection: Connection) -> bool:
    query = text(
        f"""
        SELECT f.prosrc FROM pg_proc f JOIN pg_language l ON l.oid = f.prolang
        WHERE f.proname = :function AND f.pronamespace = {_HERE} AND f.pronargs = 0
          AND l.lanname = 'plpgsql' AND f.proconfig IS NULL
        """
    )
    return bool(connection.scalar(query, {"function": _FUNCTION}) == _BODY)


def _postgresql_problems(connection: Connection) -> list[str]:
    """A sentence for each foreign trigger, rule or row security, and for each of our names that is no plain table."""
    own = {(name, table.name) for table in APPEND_ONLY for name in _triggers(connection, table.name)}
    names = {"names": list(tables.metadata.tables)}
    here = f"c.relnamespace = {_HERE} AND c.relname = ANY(:names)"
    query = "SELECT t.tgname, c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE NOT t.tgisinternal"
    triggers = connection.execute(text(f"{query} AND {here} ORDER BY 1"), names)
    found = [f"the trigger {name} on {table} is not kbsync's" for name, table in triggers if (name, table) not in own]
    query = "SELECT r.rulename, c.relname FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class"
    rules = connection.execute(text(f"{query} WHERE {here} ORDER BY 1"), names)
    found += [f"the rule {name} on {table} is not kbsync's" for name, table in rules]
    odd = "c.relkind <> 'r' OR c.relrowsecurity OR c.relforcerowsecurity OR c.relhassubclass"
    query = f"SELECT c.relname FROM pg_class c WHERE {here} AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND ({odd})"
    found += [f"{name} is no plain table, or has row security" for name in connection.scalars(text(query), names)]
    return found
