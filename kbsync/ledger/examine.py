"""Everything that a ledger can prove about its own rows: each is what kbsync wrote last, and none is missing."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

from sqlalchemy import Connection, TypeDecorator, func, inspect, select

from kbsync.domain.audit import GENESIS
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import Damaged
from kbsync.ledger import plan_entries, row_journal, tables
from kbsync.ledger.altered import AlteredRow, altered_rows
from kbsync.ledger.repository import tallies
from kbsync.ledger.repository.statement_rows import statement_of
from kbsync.ledger.repository.statements import SqlStatementReader
from kbsync.ledger.row_journal import Key
from kbsync.ledger.unreadable import told

_NAMED = 20
"""Number of altered rows of one table that are named; the others are only counted."""
_ADOPTED = 5_000
"""Number of rows in one entry of the journal that ``adopt`` writes."""
_WRITER = "writer"
"""The lease under which aliases are moved."""


def examine(connection: Connection, heads: Collection[str] = (), trail: Collection[str] | None = None) -> list[str]:
    """Check every row; returns a sentence for each problem, and nothing if all are as kbsync wrote them.

    Args:
        heads: Heads of the row journal that are known from elsewhere, such as the audit trail's events.
        trail: Hashes of the audit trail's events, which the journal's entries name; None: they are not compared.
    """
    problems = told("the row journal", lambda: _broken_chain(connection, set(heads) - {GENESIS}, trail))
    present = set(inspect(connection).get_table_names())
    missing = [f"the table {name} is gone" for name in tables.metadata.tables if name not in present]
    if missing:
        return problems + missing
    problems += told("a row", lambda: altered(connection))
    problems += told("the statement history", lambda: _forgotten_changes(connection))
    problems += told("an entry of a plan", lambda: plan_entries.problems(connection))
    problems += told("a tally", lambda: tallies.problems(connection))
    return problems + told("a lease", lambda: _low_tokens(connection))


def altered(connection: Connection) -> list[str]:
    """A sentence for each row that something other than kbsync altered; for many in one table, their number."""
    by_table: dict[str, list[AlteredRow]] = defaultdict(list)
    counts: dict[str, int] = defaultdict(int)
    for row in altered_rows(connection):
        counts[row.table] += 1
        if len(by_table[row.table]) < _NAMED:
            by_table[row.table].append(row)
    problems = []
    for name, rows in sorted(by_table.items()):
        problems += [f"{name}: row {_named(r.key)} {r.what} by something other than kbsync" for r in rows]
        if counts[name] > len(rows):
            problems.append(f"{name}: {counts[name] - len(rows):,} more rows differ from what kbsync wrote")
    return problems


def adopt(connection: Connection, altered: Collection[tuple[str, Key]]) -> None:
    """Record the rows as they are after an upgrade of the schema, which may have changed them.

    Args:
        altered: Tables and keys of rows that were altered before the upgrade; they stay reported as altered.
    """
    batch: dict[str, list[tuple[Key, str | None]]] = defaultdict(list)
    for row in altered_rows(connection):
        if (row.table, row.key) in altered:
            continue
        batch[row.table].append((row.key, row.hash))
        if len(batch[row.table]) == _ADOPTED:
            row_journal.append(connection, {row.table: batch.pop(row.table)})
    for table, rows in batch.items():
        row_journal.append(connection, {table: rows})


def _named(key: Key) -> str:
    return " ".join(str(part)[:40] for part in key)


def _broken_chain(connection: Connection, heads: set[str], trail: Collection[str] | None) -> list[str]:
    """What is wrong with the journal's own chain, including known heads that it lacks."""
    problems, prev, last = [], GENESIS, 0
    for entry in row_journal.entries(connection):
        if entry.hash != row_journal.link_hash(prev, entry.trail, entry.body) or entry.size != _size(entry.body):
            after = f"entry {last}" if last else "the beginning"
            problems.append(
                f"the row journal is broken: entry {entry.seq} was changed, or is not the one that followed {after}"
            )
        elif trail is not None and entry.trail != GENESIS and entry.trail not in trail:
            problems.append(
                f"the audit trail lacks event {entry.trail[:12]}, which entry {entry.seq} of the row journal names"
            )
        heads.discard(entry.hash)
        prev, last = entry.hash, entry.seq
    if heads and not problems:
        problems.append(
            f"the row journal is broken: entries after {last} are gone, or it was made anew: "
            f"{len(heads)} heads are known that it lacks"
        )
    return problems


def _size(body: str) -> int:
    try:
        return sum(map(len, json.loads(body).values()))
    except (ValueError, TypeError, AttributeError, RecursionError):
        return -1


def _forgotten_changes(connection: Connection) -> list[str]:
    """Live statements that differ from the last state in their history."""
    # By statement id, the digest of its last state. Digests, because the statements themselves may not fit into memory.
    replayed: dict[str, bytes] = {}
    for link in SqlStatementReader(connection).history_links():
        if link.after is None:
            replayed.pop(link.statement_id, None)
        else:
            replayed[link.statement_id] = sha256(link.after.encode()).digest()
    wrong = []
    for (key,), row in row_journal.stored_rows(connection, tables.statements):
        if replayed.pop(key, None) != _statement_digest(connection, row):
            wrong.append(key)
    wrong = sorted([*wrong, *replayed])
    return [f"{len(wrong)} live statements differ from their history, the first is {wrong[0]}"] if wrong else []


def _statement_digest(connection: Connection, row: dict[str, Any]) -> bytes:
    """The digest of a live statement; empty, and so unlike any other, for a row that holds no valid statement."""
    typed = SimpleNamespace()
    try:
        for column in tables.statements.c:
            kind: Any = column.type
            value = row[column.name]
            if isinstance(kind, TypeDecorator):
                value = kind.process_result_value(value, connection.dialect)
            setattr(typed, column.name, value)
        return sha256(canonical_json(statement_of(typed)).encode("utf-8", "surrogateescape")).digest()
    except (ValueError, Damaged):
        return b""


def _low_tokens(connection: Connection) -> list[str]:
    """A problem if the writer's token is lower than one that moved an alias: a stalled writer would be accepted
    again."""
    moved = connection.scalar(select(func.max(tables.alias_moves.c.token))) or 0
    lease = connection.scalar(select(func.max(tables.leases.c.token)).where(tables.leases.c.name == _WRITER)) or 0
    if lease >= moved:
        return []
    return [f"leases: the writer's token is {lease}, and a writer with token {moved} moved an alias"]
