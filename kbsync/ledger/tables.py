"""The ledger's tables. Their constraints refuse what the domain calls impossible, whoever writes.

Version 0, the unedited base, has no row: where a column refers to a version, NULL stands for the base.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from sqlalchemy import CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Identity, Index, MetaData, Table, Text

from kbsync.domain.audit import GENESIS
from kbsync.domain.decision import DecisionKind
from kbsync.domain.fact import FactState
from kbsync.domain.plan import EditPlan, PlanEntry
from kbsync.domain.standing import Origin
from kbsync.domain.statement import Rank, Snak, Statement, ValueKind
from kbsync.domain.verdict import Evidence, VerdictKind
from kbsync.domain.version import Evaluation, PromptOutcome, VersionState
from kbsync.ledger.types import Document, Flag, Moment, Timestamp, Whole, Word

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def one_of(column: str, enum: type[StrEnum]) -> CheckConstraint:
    """The constraint that the column holds a member of ``enum``."""
    members = ", ".join(f"'{member.value}'" for member in enum)
    return CheckConstraint(f"{column} IN ({members})", name=column)


def _table(name: str, *parts: Any) -> Table:
    return Table(name, metadata, *parts, sqlite_strict=True)


def _serial() -> Column[int]:
    """A key that grows with every row; writers are serialised, so its order is the order of commits."""
    return Column("seq", Whole, Identity(), primary_key=True)


watermarks = _table(
    "watermarks",
    Column("source", Text, primary_key=True),
    Column("at", Timestamp, nullable=False),
)

items = _table(
    "items",
    Column("id", Text, primary_key=True),
    Column("revision", Whole, nullable=False),
    Column("modified", Timestamp),
    Column("redirect_to", Text),
    Column("deleted", Flag, nullable=False),
    CheckConstraint("revision >= 0", name="revision"),
    CheckConstraint("NOT (deleted AND redirect_to IS NOT NULL)", name="deleted"),
)

labels = _table(
    "labels",
    Column("item", Text, primary_key=True),
    Column("label", Text),
    Column("aliases", Document(tuple[str, ...]), nullable=False),
)

"""The names that are believed."""

pending_names = _table(
    "pending_names",
    Column("item", Text, primary_key=True),
    Column("label", Text),
    Column("aliases", Document(tuple[str, ...]), nullable=False),
    Column("since", Timestamp, nullable=False),
    Column("since_there", Timestamp, nullable=False),
    Column("origin", Document(Origin), nullable=False),
)
"""What the source calls items whose names differ from those that are believed."""

statements = _table(
    "statements",
    Column("id", Text, primary_key=True),
    Column("subject", Text, ForeignKey("items.id"), nullable=False),
    Column("property", Text, nullable=False),
    Column("snak", Word(Snak), nullable=False),
    Column("value_kind", Word(ValueKind)),
    Column("value_text", Text),
    Column("value_detail", Text),
    Column("rank", Word(Rank), nullable=False),
    Column("starts", Moment),
    Column("ends", Moment),
    Column("point_in_time", Moment),
    Column("reference_count", Whole, nullable=False),
    CheckConstraint("reference_count >= 0", name="reference_count"),
    one_of("snak", Snak),
    one_of("value_kind", ValueKind),
    one_of("rank", Rank),
    CheckConstraint("(snak = 'value') = (value_text IS NOT NULL)", name="value"),
    CheckConstraint("(value_kind IS NULL) = (value_text IS NULL)", name="value_has_kind"),
    CheckConstraint("(value_detail IS NULL) = (value_text IS NULL)", name="value_has_detail"),
    Index(None, "subject", "property"),
)

statement_history = _table(
    "statement_history",
    _serial(),
    Column("statement_id", Text, nullable=False),
    Column("subject", Text, ForeignKey("items.id"), nullable=False),
    Column("property", Text, nullable=False),
    Column("revision", Whole, nullable=False),
    Column("seen_at", Timestamp, nullable=False),
    Column("before", Document(Statement)),
    Column("after", Document(Statement)),
    Column("hash", Text, nullable=False),
    CheckConstraint("revision >= 0", name="revision"),
    CheckConstraint("before IS NOT NULL OR after IS NOT NULL", name="change"),
    CheckConstraint("length(hash) = 64", name="hash"),
    Index(None, "subject", "property"),
)

facts = _table(
    "facts",
    Column("subject", Text, ForeignKey("items.id"), primary_key=True),
    Column("property", Text, primary_key=True),
    Column("observed", Document(FactState), nullable=False),
    Column("believed", Document(FactState)),
    Column("believed_at", Timestamp),
    Column("observed_hash", Text, nullable=False),
    Column("believed_hash", Text),
    Column("names_hash", Text),
    CheckConstraint("(believed IS NULL) = (believed_at IS NULL)", name="believed"),
    CheckConstraint("(believed IS NULL) = (believed_hash IS NULL)", name="believed_hash"),
    Index(None, "property", "believed_hash", "observed_hash", "subject"),
)

beliefs = _table(
    "beliefs",
    _serial(),
    Column("subject", Text, nullable=False),
    Column("property", Text, nullable=False),
    Column("at", Timestamp, nullable=False),
    Column("state", Document(FactState), nullable=False),
    ForeignKeyConstraint(["subject", "property"], ["facts.subject", "facts.property"]),
    Index(None, "subject", "property"),
)
"""Every change of what is believed; the newest row of a fact is what ``facts`` holds."""

quarantine = _table(
    "quarantine",
    Column("subject", Text, primary_key=True),
    Column("property", Text, primary_key=True),
    Column("value_hash", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Timestamp, nullable=False),
    ForeignKeyConstraint(["subject", "property"], ["facts.subject", "facts.property"]),
)

verdicts = _table(
    "verdicts",
    Column("subject", Text, primary_key=True),
    Column("property", Text, primary_key=True),
    Column("value_hash", Text, primary_key=True),
    Column("model_fingerprint", Text, primary_key=True),
    Column("template_hash", Text, primary_key=True),
    Column("kind", Word(VerdictKind), nullable=False),
    Column("evidence", Document(Evidence), nullable=False),
    Column("at", Timestamp, nullable=False),
    Column("names_hash", Text, nullable=False),
    one_of("kind", VerdictKind),
    ForeignKeyConstraint(["subject", "property"], ["facts.subject", "facts.property"]),
    # Covers the count of verdicts on what is believed now, so that no row with its evidence is read for it.
    Index(
        "ix_verdicts_count",
        "model_fingerprint",
        "template_hash",
        "property",
        "subject",
        "value_hash",
        "names_hash",
        "kind",
    ),
)

members = _table(
    "members",
    Column("property", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("found_at", Timestamp, nullable=False),
)

decisions = _table(
    "decisions",
    Column("subject", Text, primary_key=True),
    Column("property", Text, primary_key=True),
    Column("kind", Word(DecisionKind), nullable=False),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("at", Timestamp, nullable=False),
    one_of("kind", DecisionKind),
    ForeignKeyConstraint(["subject", "property"], ["facts.subject", "facts.property"]),
)

plans = _table(
    "plans",
    Column("hash", Text, primary_key=True),
    Column("body", Document(EditPlan), nullable=False),
    CheckConstraint("length(hash) = 64", name="hash"),
)

plan_entries = _table(
    "plan_entries",
    Column("subject", Text, primary_key=True),
    Column("property", Text, primary_key=True),
    Column("plan", Text, ForeignKey("plans.hash"), primary_key=True),
    Column("held", Flag, nullable=False),
    Column("body", Document(PlanEntry), nullable=False),
    Index(None, "plan", "held"),
)
"""The entries of every plan by fact, so that a question about one fact does not read all plans."""

plan_recordings = _table(
    "plan_recordings",
    _serial(),
    Column("plan", Text, ForeignKey("plans.hash"), nullable=False),
    Column("at", Timestamp, nullable=False),
)

versions = _table(
    "versions",
    Column("number", Whole, primary_key=True, autoincrement=False),
    Column("base_fingerprint", Text, nullable=False),
    Column("build_hash", Text, nullable=False, unique=True),
    Column("plan", Text, ForeignKey("plans.hash"), nullable=False),
    Column("state", Word(VersionState), nullable=False),
    Column("version_hash", Text, unique=True),
    Column("predecessor", Whole, ForeignKey("versions.number")),
    Column("created_at", Timestamp, nullable=False),
    CheckConstraint("number >= 1", name="number"),
    one_of("state", VersionState),
    CheckConstraint("(state = 'building') = (version_hash IS NULL)", name="built"),
    CheckConstraint("predecessor < number", name="predecessor"),
)

evaluations = _table(
    "evaluations",
    _serial(),
    Column("version", Whole, ForeignKey("versions.number"), nullable=False, index=True),
    Column("body", Document(Evaluation), nullable=False),
)
"""``body`` lacks the outcomes, which are rows of their own."""

outcomes = _table(
    "outcomes",
    Column("evaluation", Whole, ForeignKey("evaluations.seq"), primary_key=True, autoincrement=False),
    Column("place", Whole, primary_key=True, autoincrement=False),
    Column("group", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("property", Text, nullable=False),
    Column("body", Document(PromptOutcome), nullable=False),
    CheckConstraint("place >= 0", name="place"),
    Index(None, "subject", "property", "group"),
)

deliveries = _table(
    "deliveries",
    Column("hook", Text, primary_key=True),
    Column("move", Whole, nullable=False),
    Column("attempts", Whole, nullable=False),
    CheckConstraint("move >= 0", name="move"),
    CheckConstraint("attempts >= 0", name="attempts"),
)
"""By notifier (``hook``), the last move of an alias that it was told of, or that was given up, and the attempts at the
next one."""

alias_moves = _table(
    "alias_moves",
    _serial(),
    Column("name", Text, nullable=False, index=True),
    Column("version", Whole, ForeignKey("versions.number")),
    Column("token", Whole, nullable=False),
    Column("moved_at", Timestamp, nullable=False),
    CheckConstraint("token >= 1", name="token"),
)

audit_events = _table(
    "audit_events",
    Column("seq", Whole, primary_key=True, autoincrement=False),
    Column("at", Timestamp, nullable=False),
    Column("kind", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("body", Document(dict[str, Any]), nullable=False),
    Column("prev", Text, nullable=False, unique=True),
    Column("hash", Text, nullable=False, unique=True),
    CheckConstraint("seq >= 1", name="seq"),
    CheckConstraint("length(hash) = 64", name="hash"),
    CheckConstraint(f"(seq = 1) = (prev = '{GENESIS}')", name="genesis"),
    Index(None, "kind", "seq"),
)

row_journal = _table(
    "row_journal",
    _serial(),
    Column("size", Whole, nullable=False),
    Column("trail", Text, nullable=False),
    Column("body", Document(dict[str, Any]), nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    CheckConstraint("size >= 1", name="size"),
    CheckConstraint("length(hash) = 64", name="hash"),
)
"""Hashes of the rows of all other tables that decide what is written (``row_journal.py``)."""

leases = _table(
    "leases",
    Column("name", Text, primary_key=True),
    Column("token", Whole, nullable=False),
    Column("holder", Text),
    Column("expires", Timestamp),
    Column("process", Text),
    CheckConstraint("token >= 1", name="token"),
    CheckConstraint("(holder IS NULL) = (expires IS NULL)", name="held"),
)

APPEND_ONLY = (statement_history, beliefs, alias_moves, audit_events, row_journal)
"""Tables whose rows are never changed or removed; triggers see to it (``triggers.py``)."""
