"""Entries of plans and outcomes of evaluations by fact, an index that counts verdicts, and what notifiers were told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()
BATCH = 1000
COUNTED = ("model_fingerprint", "template_hash", "property", "subject", "value_hash", "kind")

PLANS = sa.table("plans", sa.column("hash"), sa.column("body"))
ENTRIES = sa.table(
    "plan_entries", *(sa.column(c) for c in ("subject", "property", "plan", "body")), sa.column("held", FLAG)
)
EVALUATIONS = sa.table("evaluations", sa.column("seq"), sa.column("body"))
OUTCOMES = sa.table(
    "outcomes", *(sa.column(c) for c in ("evaluation", "place", "group", "subject", "property", "body"))
)


def upgrade() -> None:
    _create()
    _fill(ENTRIES, (row for plan in _rows(PLANS, "hash") for row in _entries(plan)))
    for row in _rows(EVALUATIONS, "seq"):
        body = json.loads(row["body"])
        _fill(OUTCOMES, (_outcome(row["seq"], place, o) for place, o in enumerate(body["outcomes"])))
        _rewrite(row["seq"], body | {"outcomes": []})
    op.drop_index(op.f("ix_verdicts_model_fingerprint"), "verdicts")
    op.create_index(op.f("ix_verdicts_count"), "verdicts", list(COUNTED))


def downgrade() -> None:
    op.drop_index(op.f("ix_verdicts_count"), "verdicts")
    op.create_index(op.f("ix_verdicts_model_fingerprint"), "verdicts", ["model_fingerprint"])
    for row in _rows(EVALUATIONS, "seq"):
        held = sa.select(OUTCOMES.c.body).where(OUTCOMES.c.evaluation == row["seq"]).order_by(OUTCOMES.c.place)
        outcomes = [json.loads(body) for body in op.get_bind().scalars(held)]
        _rewrite(row["seq"], json.loads(row["body"]) | {"outcomes": outcomes})
    for table in ("deliveries", "outcomes", "plan_entries"):
        op.drop_table(table)


def _create() -> None:
    op.create_table(
        "plan_entries",
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("property", TEXT, nullable=False),
        sa.Column("plan", TEXT, nullable=False),
        sa.Column("held", FLAG, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("subject", "property", "plan", name=op.f("pk_plan_entries")),
        sa.ForeignKeyConstraint(["plan"], ["plans.hash"], name=op.f("fk_plan_entries_plan_plans")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_plan_entries_plan_held"), "plan_entries", ["plan", "held"])
    op.create_table(
        "outcomes",
        sa.Column("evaluation", WHOLE, nullable=False, autoincrement=False),
        sa.Column("place", WHOLE, nullable=False, autoincrement=False),
        sa.Column("group", TEXT, nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("property", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.CheckConstraint("place >= 0", name=op.f("ck_outcomes_place")),
        sa.PrimaryKeyConstraint("evaluation", "place", name=op.f("pk_outcomes")),
        sa.ForeignKeyConstraint(["evaluation"], ["evaluations.seq"], name=op.f("fk_outcomes_evaluation_evaluations")),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_outcomes_subject_property_group"), "outcomes", ["subject", "property", "group"])
    op.create_table(
        "deliveries",
        sa.Column("hook", TEXT, nullable=False),
        sa.Column("move", WHOLE, nullable=False),
        sa.Column("attempts", WHOLE, nullable=False),
        sa.CheckConstraint("move >= 0", name=op.f("ck_deliveries_move")),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_deliveries_attempts")),
        sa.PrimaryKeyConstraint("hook", name=op.f("pk_deliveries")),
        sqlite_strict=True,
    )


def _entries(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for entry in json.loads(plan["body"])["entries"]:
        subject, property = entry["key"]
        held = entry["request"] is not None
        yield {
            "subject": subject,
            "property": property,
            "plan": plan["hash"],
            "held": held,
            "body": _canonical(entry),
        }


def _outcome(evaluation: int, place: int, outcome: dict[str, Any]) -> dict[str, Any]:
    about = {name: outcome[name] for name in ("group", "subject", "property")}
    return about | {"evaluation": evaluation, "place": place, "body": _canonical(outcome)}


def _rewrite(seq: int, body: dict[str, Any]) -> None:
    change = sa.update(EVALUATIONS).where(EVALUATIONS.c.seq == seq).values(body=_canonical(body))
    op.get_bind().execute(change)


def _rows(table: sa.TableClause, key: str) -> Iterator[dict[str, Any]]:
    """One row at a time by key: plans and evaluations are large, and a cursor would not survive the changes."""
    last = None
    while True:
        page = sa.select(table).order_by(table.c[key]).limit(1)
        row = op.get_bind().execute(page if last is None else page.where(table.c[key] > last)).one_or_none()
        if row is None:
            return
        yield dict(row._mapping)
        last = row._mapping[key]


def _fill(table: sa.TableClause, rows: Iterator[dict[str, Any]]) -> None:
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) == BATCH:
            op.get_bind().execute(sa.insert(table), batch)
            batch = []
    if batch:
        op.get_bind().execute(sa.insert(table), batch)


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
