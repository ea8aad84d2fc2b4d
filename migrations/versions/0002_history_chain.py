"""The statement history becomes a hash chain, facts carry the hashes of their values, a lease names its process.

SQLite can add a NOT NULL column only with a default that stays: its tables are made and filled anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
TEXT = sa.Text()
GENESIS = "0" * 64
BATCH = 1000

HISTORY = ("seq", "statement_id", "subject", "property", "revision", "seen_at", "before", "after")
FACTS = ("subject", "property", "observed", "believed", "believed_at")
FACTS_INDEX = ("property", "believed_hash", "observed_hash", "subject")


def upgrade() -> None:
    if _sqlite():
        _rebuild("statement_history", lambda name: _history(name, chained=True), _chained(_rows(*HISTORY)))
        _rebuild("facts", lambda name: _facts(name, hashed=True), map(_hashed, _rows(*FACTS)))
    else:
        _upgrade_postgresql()
    op.create_index(op.f("ix_facts_" + "_".join(FACTS_INDEX)), "facts", list(FACTS_INDEX))
    op.create_index(op.f("ix_audit_events_kind_seq"), "audit_events", ["kind", "seq"])
    op.add_column("leases", sa.Column("process", TEXT, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("leases", table_kwargs={"sqlite_strict": True}) as leases:
        leases.drop_column("process")
    op.drop_index(op.f("ix_audit_events_kind_seq"), "audit_events")
    op.drop_index(op.f("ix_facts_" + "_".join(FACTS_INDEX)), "facts")
    if _sqlite():
        _rebuild("statement_history", lambda name: _history(name, chained=False), _rows(*HISTORY))
        _rebuild("facts", lambda name: _facts(name, hashed=False), _rows(*FACTS))
    else:
        op.drop_column("statement_history", "hash")
        op.drop_column("facts", "believed_hash")
        op.drop_column("facts", "observed_hash")


def _upgrade_postgresql() -> None:
    # The triggers that refuse an update are installed again when all migrations are done.
    op.execute("DROP TRIGGER IF EXISTS statement_history_no_update ON statement_history")
    op.add_column("statement_history", sa.Column("hash", TEXT, nullable=True))
    _update("statement_history", ("seq",), ("hash",), _chained(_rows(*HISTORY)))
    op.alter_column("statement_history", "hash", nullable=False)
    op.create_check_constraint(op.f("ck_statement_history_hash"), "statement_history", "length(hash) = 64")
    op.add_column("facts", sa.Column("observed_hash", TEXT, nullable=True))
    op.add_column("facts", sa.Column("believed_hash", TEXT, nullable=True))
    _update("facts", ("subject", "property"), ("observed_hash", "believed_hash"), map(_hashed, _rows(*FACTS)))
    op.alter_column("facts", "observed_hash", nullable=False)
    op.create_check_constraint(op.f("ck_facts_believed_hash"), "facts", "(believed IS NULL) = (believed_hash IS NULL)")


def _history(name: str, *, chained: bool) -> None:
    table = "statement_history"
    extra: list[sa.SchemaItem] = [_column("hash", TEXT)] if chained else []
    rules = [_check(table, "hash", "length(hash) = 64")] if chained else []
    op.create_table(
        name,
        sa.Column("seq", WHOLE, sa.Identity(), nullable=False),
        _column("statement_id", TEXT),
        _column("subject", TEXT),
        _column("property", TEXT),
        _column("revision", WHOLE),
        _column("seen_at", TIME),
        _column("before", TEXT, null=True),
        _column("after", TEXT, null=True),
        *extra,
        _check(table, "revision", "revision >= 0"),
        _check(table, "change", "before IS NOT NULL OR after IS NOT NULL"),
        *rules,
        _item(table),
        sa.PrimaryKeyConstraint("seq", name=op.f(f"pk_{table}")),
        sqlite_strict=True,
    )


def _facts(name: str, *, hashed: bool) -> None:
    table = "facts"
    extra: list[sa.SchemaItem] = []
    rules: list[sa.SchemaItem] = []
    if hashed:
        extra = [_column("observed_hash", TEXT), _column("believed_hash", TEXT, null=True)]
        rules = [_check(table, "believed_hash", "(believed IS NULL) = (believed_hash IS NULL)")]
    op.create_table(
        name,
        _column("subject", TEXT),
        _column("property", TEXT),
        _column("observed", TEXT),
        _column("believed", TEXT, null=True),
        _column("believed_at", TIME, null=True),
        *extra,
        _check(table, "believed", "(believed IS NULL) = (believed_at IS NULL)"),
        *rules,
        _item(table),
        sa.PrimaryKeyConstraint("subject", "property", name=op.f(f"pk_{table}")),
        sqlite_strict=True,
    )


def _column(name: str, kind: sa.types.TypeEngine, *, null: bool = False) -> sa.Column:
    return sa.Column(name, kind, nullable=null, autoincrement=False)


def _check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def _item(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["subject"], ["items.id"], name=op.f(f"fk_{table}_subject_items"))


def _sqlite() -> bool:
    return op.get_bind().dialect.name == "sqlite"


def _rebuild(table: str, create: Callable[[str], None], rows: Iterator[dict[str, Any]]) -> None:
    """Make and fill ``table`` anew (foreign keys are off during migrations), and its index too."""
    create(f"new_{table}")
    first = next(rows, None)
    if first is not None:
        names = list(first)
        into = sa.table(f"new_{table}", *(sa.column(n) for n in names))
        _in_batches(sa.insert(into), first, rows)
    op.drop_table(table)
    op.rename_table(f"new_{table}", table)
    if table == "statement_history":
        op.create_index(op.f(f"ix_{table}_subject_property"), table, ["subject", "property"])


def _update(table: str, keys: tuple[str, ...], values: tuple[str, ...], rows: Iterator[dict[str, Any]]) -> None:
    into = sa.table(table, *(sa.column(n) for n in (*keys, *values)))
    wanted = sa.and_(*(into.c[k] == sa.bindparam(f"key_{k}") for k in keys))
    change = sa.update(into).where(wanted).values({v: sa.bindparam(f"new_{v}") for v in values})
    named = ({f"key_{k}": row[k] for k in keys} | {f"new_{v}": row[v] for v in values} for row in rows)
    first = next(named, None)
    if first is not None:
        _in_batches(change, first, named)


def _in_batches(statement: Any, first: dict[str, Any], rows: Iterator[dict[str, Any]]) -> None:
    batch = [first]
    for row in rows:
        if len(batch) == BATCH:
            op.get_bind().execute(statement, batch)
            batch = []
        batch.append(row)
    op.get_bind().execute(statement, batch)


def _rows(*columns: str) -> Iterator[dict[str, Any]]:
    """All rows by key, in pages: a cursor would not survive the changes that are made between them."""
    table = sa.table("statement_history" if "seq" in columns else "facts", *(sa.column(c) for c in columns))
    keys = [table.c.seq] if "seq" in columns else [table.c.subject, table.c.property]
    last: tuple[Any, ...] | None = None
    while True:
        page = sa.select(table).order_by(*keys).limit(BATCH)
        if last is not None:
            page = page.where(sa.tuple_(*keys) > sa.tuple_(*last) if len(keys) > 1 else keys[0] > last[0])
        found = op.get_bind().execute(page).all()
        if not found:
            return
        yield from (dict(row._mapping) for row in found)
        last = tuple(found[-1]._mapping[k.name] for k in keys)


def _chained(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    prev = GENESIS
    for row in rows:
        link = {name: row[name] for name in HISTORY if name != "seq"} | {"seen_at": _time(row["seen_at"]), "prev": prev}
        prev = _hash(link)
        yield row | {"hash": prev}


def _hashed(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"observed_hash": _values(row["observed"]), "believed_hash": _values(row["believed"])}


def _values(state: str | None) -> str | None:
    return None if state is None else _hash(json.loads(state)["values"])


def _hash(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _time(at: datetime | str) -> str:
    return at if isinstance(at, str) else at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
