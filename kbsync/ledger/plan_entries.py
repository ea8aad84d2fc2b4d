"""The entries of plans by fact: a copy of what the plans hold, which is compared with them and can be made again."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, delete, func, insert, select

from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import Damaged
from kbsync.domain.plan import EditPlan, PlanEntry
from kbsync.ledger import row_journal, tables
from kbsync.ledger.repository.versions import SqlVersionReader, entry_row


def problems(connection: Connection) -> list[str]:
    """A sentence where entries are not those of their plans."""
    table = tables.plan_entries
    wrong = sum(len(_right(plan_hash, plan) ^ _stored(connection, plan_hash)) for plan_hash, plan in _plans(connection))
    strays = select(func.count()).select_from(table).where(table.c.plan.not_in(select(tables.plans.c.hash)))
    wrong += connection.scalar(strays) or 0
    return [f"{table.name}: {wrong} entries are not those of their plans"] if wrong else []


def restore(connection: Connection) -> None:
    """Make the entries those of their plans again, where they are not."""
    table = tables.plan_entries
    connection.execute(delete(table).where(table.c.plan.not_in(select(tables.plans.c.hash))))
    for plan_hash, plan in _plans(connection):
        if _right(plan_hash, plan) != _stored(connection, plan_hash):
            connection.execute(delete(table).where(table.c.plan == plan_hash))
            if plan.entries:
                connection.execute(insert(table), [entry_row(plan_hash, entry) for entry in plan.entries])


def _plans(connection: Connection) -> Iterator[tuple[str, EditPlan]]:
    """All plans that can be read, one at a time; the row journal names the others."""
    for plan_hash in connection.scalars(select(tables.plans.c.hash)).all():
        try:
            plan = SqlVersionReader(connection).plan(plan_hash)
        except Damaged:
            continue
        if plan is not None:
            yield plan_hash, plan


def _right(plan_hash: str, plan: EditPlan) -> set[str]:
    return {row_journal.row_hash(tables.plan_entries.name, _as_stored(plan_hash, entry)) for entry in plan.entries}


def _stored(connection: Connection, plan_hash: str) -> set[str]:
    table = tables.plan_entries
    rows = row_journal.stored_rows(connection, table, table.c.plan == plan_hash)
    return {row_journal.row_hash(table.name, row) for _, row in rows}


def _as_stored(plan_hash: str, entry: PlanEntry) -> dict[str, object]:
    row = entry_row(plan_hash, entry)
    return row | {"held": int(row["held"]), "body": canonical_json(row["body"])}
