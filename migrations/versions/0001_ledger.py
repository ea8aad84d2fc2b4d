"""The first schema: statements, facts and verdicts, plans and versions, aliases, audit trail and leases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
FLAG = sa.Boolean().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()


def upgrade() -> None:
    _sources()
    _facts()
    _versions()
    _release()


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)


_TABLES = (
    "leases",
    "audit_events",
    "alias_moves",
    "evaluations",
    "versions",
    "plan_recordings",
    "plans",
    "verdicts",
    "quarantine",
    "facts",
    "statement_history",
    "statements",
    "labels",
    "items",
    "watermarks",
)


def _create(name: str, *parts: sa.SchemaItem) -> None:
    op.create_table(name, *parts, sqlite_strict=True)


def _column(name: str, kind: sa.types.TypeEngine, *parts: sa.SchemaItem, null: bool = False) -> sa.Column:
    return sa.Column(name, kind, *parts, nullable=null, autoincrement=False)


def _serial() -> sa.Column:
    return sa.Column("seq", WHOLE, sa.Identity(), nullable=False)


def _key(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def _unique(table: str, column: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(column, name=op.f(f"uq_{table}_{column}"))


def _check(table: str, name: str, rule: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(rule, name=op.f(f"ck_{table}_{name}"))


def _refers(table: str, columns: list[str], other: str, targets: list[str]) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{'_'.join(columns)}_{other}")
    return sa.ForeignKeyConstraint(columns, [f"{other}.{target}" for target in targets], name=name)


def _index(table: str, *columns: str) -> None:
    op.create_index(op.f(f"ix_{table}_{'_'.join(columns)}"), table, list(columns))


def _sources() -> None:
    _create("watermarks", _column("source", TEXT), _column("at", TIME), _key("watermarks", "source"))
    _create(
        "items",
        _column("id", TEXT),
        _column("revision", WHOLE),
        _column("modified", TIME, null=True),
        _column("redirect_to", TEXT, null=True),
        _column("deleted", FLAG),
        _check("items", "revision", "revision >= 0"),
        _check("items", "deleted", "NOT (deleted AND redirect_to IS NOT NULL)"),
        _key("items", "id"),
    )
    _create(
        "labels",
        _column("item", TEXT),
        _column("label", TEXT, null=True),
        _column("aliases", TEXT),
        _key("labels", "item"),
    )
    _statements()


def _statements() -> None:
    kinds = "'item', 'time', 'quantity', 'string', 'monolingual', 'external-id', 'other'"
    _create(
        "statements",
        _column("id", TEXT),
        _column("subject", TEXT),
        _column("property", TEXT),
        _column("snak", TEXT),
        _column("value_kind", TEXT, null=True),
        _column("value_text", TEXT, null=True),
        _column("value_detail", TEXT, null=True),
        _column("rank", TEXT),
        _column("starts", TEXT, null=True),
        _column("ends", TEXT, null=True),
        _column("point_in_time", TEXT, null=True),
        _column("reference_count", WHOLE),
        _check("statements", "reference_count", "reference_count >= 0"),
        _check("statements", "snak", "snak IN ('value', 'somevalue', 'novalue')"),
        _check("statements", "value_kind", f"value_kind IN ({kinds})"),
        _check("statements", "rank", "rank IN ('preferred', 'normal', 'deprecated')"),
        _check("statements", "value", "(snak = 'value') = (value_text IS NOT NULL)"),
        _check("statements", "value_has_kind", "(value_kind IS NULL) = (value_text IS NULL)"),
        _check("statements", "value_has_detail", "(value_detail IS NULL) = (value_text IS NULL)"),
        _refers("statements", ["subject"], "items", ["id"]),
        _key("statements", "id"),
    )
    _index("statements", "subject", "property")
    _create(
        "statement_history",
        _serial(),
        _column("statement_id", TEXT),
        _column("subject", TEXT),
        _column("property", TEXT),
        _column("revision", WHOLE),
        _column("seen_at", TIME),
        _column("before", TEXT, null=True),
        _column("after", TEXT, null=True),
        _check("statement_history", "revision", "revision >= 0"),
        _check("statement_history", "change", "before IS NOT NULL OR after IS NOT NULL"),
        _refers("statement_history", ["subject"], "items", ["id"]),
        _key("statement_history", "seq"),
    )
    _index("statement_history", "subject", "property")


def _facts() -> None:
    _create(
        "facts",
        _column("subject", TEXT),
        _column("property", TEXT),
        _column("observed", TEXT),
        _column("believed", TEXT, null=True),
        _column("believed_at", TIME, null=True),
        _check("facts", "believed", "(believed IS NULL) = (believed_at IS NULL)"),
        _refers("facts", ["subject"], "items", ["id"]),
        _key("facts", "subject", "property"),
    )
    _create(
        "quarantine",
        _column("subject", TEXT),
        _column("property", TEXT),
        _column("value_hash", TEXT),
        _column("reason", TEXT),
        _column("at", TIME),
        _refers("quarantine", ["subject", "property"], "facts", ["subject", "property"]),
        _key("quarantine", "subject", "property"),
    )
    _create(
        "verdicts",
        _column("subject", TEXT),
        _column("property", TEXT),
        _column("value_hash", TEXT),
        _column("model_fingerprint", TEXT),
        _column("template_hash", TEXT),
        _column("kind", TEXT),
        _column("evidence", TEXT),
        _column("at", TIME),
        _check("verdicts", "kind", "kind IN ('current', 'stale', 'unknown', 'ambiguous')"),
        _refers("verdicts", ["subject", "property"], "facts", ["subject", "property"]),
        _key("verdicts", "subject", "property", "value_hash", "model_fingerprint", "template_hash"),
    )
    _index("verdicts", "model_fingerprint")


def _versions() -> None:
    _create(
        "plans",
        _column("hash", TEXT),
        _column("body", TEXT),
        _check("plans", "hash", "length(hash) = 64"),
        _key("plans", "hash"),
    )
    _create(
        "plan_recordings",
        _serial(),
        _column("plan", TEXT),
        _column("at", TIME),
        _refers("plan_recordings", ["plan"], "plans", ["hash"]),
        _key("plan_recordings", "seq"),
    )
    states = "'building', 'candidate', 'refused', 'promoted', 'rolled-back'"
    _create(
        "versions",
        _column("number", WHOLE),
        _column("base_fingerprint", TEXT),
        _column("build_hash", TEXT),
        _column("plan", TEXT),
        _column("state", TEXT),
        _column("version_hash", TEXT, null=True),
        _column("predecessor", WHOLE, null=True),
        _column("created_at", TIME),
        _check("versions", "number", "number >= 1"),
        _check("versions", "state", f"state IN ({states})"),
        _check("versions", "built", "(state = 'building') = (version_hash IS NULL)"),
        _check("versions", "predecessor", "predecessor < number"),
        _refers("versions", ["plan"], "plans", ["hash"]),
        _refers("versions", ["predecessor"], "versions", ["number"]),
        _unique("versions", "build_hash"),
        _unique("versions", "version_hash"),
        _key("versions", "number"),
    )
    _create(
        "evaluations",
        _serial(),
        _column("version", WHOLE),
        _column("body", TEXT),
        _refers("evaluations", ["version"], "versions", ["number"]),
        _key("evaluations", "seq"),
    )
    _index("evaluations", "version")


def _release() -> None:
    _create(
        "alias_moves",
        _serial(),
        _column("name", TEXT),
        _column("version", WHOLE, null=True),
        _column("token", WHOLE),
        _column("moved_at", TIME),
        _check("alias_moves", "token", "token >= 1"),
        _refers("alias_moves", ["version"], "versions", ["number"]),
        _key("alias_moves", "seq"),
    )
    _index("alias_moves", "name")
    _create(
        "audit_events",
        _column("seq", WHOLE),
        _column("at", TIME),
        _column("kind", TEXT),
        _column("actor", TEXT),
        _column("body", TEXT),
        _column("prev", TEXT),
        _column("hash", TEXT),
        _check("audit_events", "seq", "seq >= 1"),
        _check("audit_events", "hash", "length(hash) = 64"),
        _check("audit_events", "genesis", f"(seq = 1) = (prev = '{'0' * 64}')"),
        _unique("audit_events", "prev"),
        _unique("audit_events", "hash"),
        _key("audit_events", "seq"),
    )
    _create(
        "leases",
        _column("name", TEXT),
        _column("token", WHOLE),
        _column("holder", TEXT, null=True),
        _column("expires", TIME, null=True),
        _check("leases", "token", "token >= 1"),
        _check("leases", "held", "(holder IS NULL) = (expires IS NULL)"),
        _key("leases", "name"),
    )
