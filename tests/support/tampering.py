"""Random SQL of somebody with all rights in the database, and what `kbsync audit verify` says of it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Table, text
from sqlalchemy.exc import DBAPIError

from kbsync.checkpoints.anchor import accept_trail
from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.errors import KbsyncError
from kbsync.ledger import row_journal
from kbsync.ledger.engine import make_engine, parse_url, writing
from kbsync.ledger.ledger import SqlLedger, SqlLedgerReader
from kbsync.ledger.tables import APPEND_ONLY, metadata
from kbsync.operations.chains import check_chains
from kbsync.ports import Delivered
from tests.support.stage_world import make_world

TEXTS = ("Kermit the Frog", "Q586", "", "0" * 64, "current", "2026-01-01T00:00:00.000000Z", "\U0001d54f\u202e")


@dataclass
class Tampering:
    """How many statements changed something, and what became of them."""

    named: int = 0
    """Those that the check reports."""
    harmless: int = 0
    """Those that it need not report, because they changed only rows that influence nothing."""
    unseen: list[str] = field(default_factory=list)
    """Those that changed a row that is used, and that it does not report."""
    kinds: Counter[str] = field(default_factory=Counter)
    """Statements by kind and table."""

    @property
    def statements(self) -> int:
        """All that the database did not refuse."""
        return self.named + self.harmless + len(self.unseen)


def fill(url: str, state_dir: Path) -> None:
    """A cycle of the small world, what people decide, and something in every other table; anchored at its end."""
    ledger = SqlLedger(url)
    world = make_world(ledger)
    world.sync()
    world.pass_time(timedelta(days=1))
    now = world.clock.now()
    with ledger.write() as tx:
        first, second, *_ = tx.facts()
        tx.set_decision(Decision(key=first.key, kind=DecisionKind.EXCLUDE, reason="for the test", actor="test", at=now))
        tx.set_quarantine(second.key, second.observed.value_hash, "for the test", now)
        tx.set_members(first.key.property, [first.key.subject, second.key.subject], now)
        tx.set_delivery(Delivered(notifier="webhook", move=1, attempts=2))
        tx.append_audit("test", "test", {"history": tx.history_head()}, now)
    with ledger.read() as tx:
        accept_trail(state_dir, tx)
    ledger.close()


def tamper(url: str, state_dir: Path, statements: int, seed: int) -> Tampering:
    """Run random statements, each in a transaction that is rolled back after the check.

    Args:
        url: A ledger that ``fill`` filled.
        statements: Number of statements that the database does not refuse.
    """
    draw, told = random.Random(seed), Tampering()
    engine = make_engine(parse_url(url), foreign_keys=False)
    with writing(engine) as connection:
        before = _rows(connection)
    while told.statements < statements:
        with writing(engine) as connection:
            kind, orders = _drawn(connection, draw)
            undo = connection.begin_nested()
            try:
                for order in orders:
                    connection.execute(text(order.replace(":", r"\:")))
            except DBAPIError:
                undo.rollback()
                continue
            problems = _problems(connection, state_dir)
            after = {} if problems else _rows(connection)
            undo.rollback()
        if after == before and not kind.startswith("guards"):
            continue  # it changed nothing at all
        told.kinds[kind] += 1
        if problems:
            told.named += 1
        elif _used(after) == _used(before) and not kind.startswith("guards"):
            told.harmless += 1
        else:
            told.unseen.append("; ".join(orders)[:1_000])
    engine.dispose()
    return told


def _problems(connection: Connection, state_dir: Path) -> list[str]:
    """What the check reports, including that it can't read the ledger."""
    try:
        with connection.begin_nested() as savepoint:
            try:
                return [what for _, what in check_chains(SqlLedgerReader(connection), state_dir).problems]
            finally:
                savepoint.rollback()
    except (DBAPIError, KbsyncError) as error:
        return [str(error)]


def _rows(connection: Connection) -> dict[str, list[str]]:
    """Every row of every table, as text."""
    return {t.name: sorted(map(repr, row_journal.stored_rows(connection, t))) for t in metadata.sorted_tables}


def _used(rows: dict[str, list[str]]) -> dict[str, list[str]]:
    """The rows of tables that influence what is edited."""
    return {name: found for name, found in rows.items() if name not in row_journal.UNDECIDING}


def _drawn(connection: Connection, draw: random.Random) -> tuple[str, list[str]]:
    """A kind and its statements: they change something, and often remove the triggers before and restore them after."""
    table = draw.choice(metadata.sorted_tables)
    if draw.random() < 0.12:
        return f"guards of {table.name}", draw.choice(list(_on_guards(connection, table))).split("; ")
    kind = draw.choice(["update"] * 6 + ["delete", "insert", "insert", "swap", "all"])
    change = _changes(connection, table, kind, draw)
    guarded = table in APPEND_ONLY
    if guarded:
        off, on = _guards(connection, table)
        change = [*off, *change, *(on if draw.random() < 0.7 else ())]
    return f"{kind} {table.name}", change


def _guards(connection: Connection, table: Table) -> tuple[list[str], list[str]]:
    """Statements that remove an append-only table's triggers, and statements that restore them."""
    if connection.dialect.name != "sqlite":
        return ["SET LOCAL session_replication_role = replica"], ["SET LOCAL session_replication_role = origin"]
    query = f"SELECT name, sql FROM sqlite_master WHERE type = 'trigger' AND tbl_name = '{table.name}'"
    found = connection.execute(text(query)).all()
    return [f"DROP TRIGGER {name}" for name, _ in found], [sql for _, sql in found]


def _changes(connection: Connection, table: Table, kind: str, draw: random.Random) -> list[str]:
    rows = [row for _, row in row_journal.stored_rows(connection, table)]
    name, keys = f'"{table.name}"', [c.name for c in table.primary_key]
    if not rows or kind == "insert":
        row = dict(draw.choice(rows)) if rows else {c.name: _anything(draw) for c in table.c}
        for key in keys:
            row[key] = row[key] + draw.choice([1, 1_000]) if isinstance(row[key], int) else f"{row[key]}{draw.random()}"
        for column in draw.sample(list(row), 1):
            row[column] = row[column] if column in keys else _spoiled(row[column], rows, column, draw)
        columns = ", ".join(f'"{column}"' for column in row)
        return [f"INSERT INTO {name} ({columns}) VALUES ({', '.join(map(_literal, row.values()))})"]
    row = draw.choice(rows)
    where = " AND ".join(f'"{key}" = {_literal(row[key])}' for key in keys)
    if kind == "delete":
        return [f"DELETE FROM {name} WHERE {where}"]
    column = draw.choice([c.name for c in table.c])
    if kind == "all":
        value = _literal(_spoiled(None, rows, column, draw))
        return [draw.choice([f"DELETE FROM {name}", f'UPDATE {name} SET "{column}" = {value}'])]
    if kind == "swap":
        other = draw.choice(rows)
        there = " AND ".join(f'"{key}" = {_literal(other[key])}' for key in keys)
        return [
            f'UPDATE {name} SET "{column}" = {_literal(other[column])} WHERE {where}',
            f'UPDATE {name} SET "{column}" = {_literal(row[column])} WHERE {there}',
        ]
    return [f'UPDATE {name} SET "{column}" = {_literal(_spoiled(row[column], rows, column, draw))} WHERE {where}']


def _spoiled(value: Any, rows: list[dict[str, Any]], column: str, draw: random.Random) -> Any:
    """Another value: a similar one, that of another row, NULL, or a random one."""
    chosen = draw.randrange(6)
    if chosen == 0:
        return draw.choice(rows)[column] if rows else None
    if chosen == 1:
        return None
    if chosen == 2:
        return _anything(draw)
    if isinstance(value, int):
        return draw.choice([value + 1, value - 1, 0, 1 - value])
    if not isinstance(value, str) or not value:
        return _anything(draw)
    at = draw.randrange(len(value))
    other = chr(max(32, ord(value[at]) ^ 1 << draw.randrange(3)))
    return draw.choice([value[:at] + other + value[at + 1 :], value[:at] + value[at + 1 :], value + " "])


def _anything(draw: random.Random) -> Any:
    return draw.choice([*TEXTS, draw.randrange(100)])


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _on_guards(connection: Connection, table: Table) -> Iterator[str]:
    """Statements that drop, hide or allow changes: triggers, rules, functions, views, row security."""
    name = table.name
    if connection.dialect.name == "sqlite":
        yield f"CREATE TRIGGER evil BEFORE INSERT ON {name} BEGIN SELECT RAISE(IGNORE); END"
        yield f"CREATE TRIGGER evil AFTER INSERT ON {name} BEGIN DELETE FROM labels; END"
        yield f"DROP TABLE {name}"
        yield f"CREATE TABLE evil AS SELECT * FROM {name}; DROP TABLE {name}; ALTER TABLE evil RENAME TO {name}"
        for guard in APPEND_ONLY:
            yield f"DROP TRIGGER {guard.name}_no_update"
        return
    yield f"CREATE RULE evil AS ON INSERT TO {name} DO INSTEAD NOTHING"
    yield f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY"
    yield f"DROP TABLE {name} CASCADE"
    yield f"ALTER TABLE {name} DROP CONSTRAINT pk_{name} CASCADE"
    yield f"ALTER TABLE {name} ALTER COLUMN {list(table.c)[-1].name} SET DEFAULT '5'"
    yield f"CREATE TEMP TABLE {name} AS SELECT * FROM {name}"
    returns = "RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
    yield f"CREATE OR REPLACE FUNCTION kbsync_refuse() {returns}"
    yield f"CREATE TRIGGER evil BEFORE INSERT ON {name} FOR EACH STATEMENT EXECUTE FUNCTION kbsync_refuse()"
    disguised = "audit_events_no_update" if table.name != "audit_events" else "statement_history_no_update"
    yield f"CREATE TRIGGER {disguised} BEFORE INSERT ON {name} FOR EACH STATEMENT EXECUTE FUNCTION kbsync_refuse()"
    for guard in APPEND_ONLY:
        yield f"ALTER TABLE {guard.name} DISABLE TRIGGER {guard.name}_no_update"
        yield f"DROP TRIGGER {guard.name}_no_truncate ON {guard.name}"
