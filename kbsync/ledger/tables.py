"""The ledger's tables. Their constraints refuse states that the domain calls impossible, whatever program writes.

Version 0, the unedited base, has no row: where a column refers to a version, NULL stands for the base.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, ForeignKeyConstraint, Index, Text

from kbsync.domain.decision import DecisionKind
from kbsync.domain.fact import FactState
from kbsync.domain.plan import EditPlan, PlanCounts, PlanEntry
from kbsync.domain.standing import Origin
from kbsync.domain.statement import Rank, Snak, Statement, ValueKind
from kbsync.domain.verdict import Evidence, VerdictKind
from kbsync.domain.version import Evaluation, PromptOutcome, VersionState
from kbsync.ledger.table_parts import metadata as metadata
from kbsync.ledger.table_parts import one_of, partial_index, serial, table
from kbsync.ledger.trail_tables import audit_events as audit_events
from kbsync.ledger.trail_tables import row_journal as row_journal
from kbsync.ledger.types import Document, Flag, Moment, Timestamp, Whole, Word

watermarks = table(
    "watermarks",
    Column("source", Text, primary_key=True),
    Column("at", Timestamp, nullable=False),
)

items = table(
    "items",
    Column("id", Text, primary_key=True),
    Column("revision", Whole, nullable=False),
    Column("modified", Timestamp),
    Column("redirect_to", Text),
    Column("deleted", Flag, nullable=False),
    CheckConstraint("revision >= 0", name="revision"),
    CheckConstraint("NOT (deleted AND redirect_to IS NOT NULL)", name="deleted"),
)

labels = table(
    "labels",
    Column("item", Text, primary_key=True),
    Column("label", Text),
    Column("aliases", Document(tuple[str, ...]), nullable=False),
)

"""The names that are believed."""

pending_names = table(
    "pending_names",
    Column("item", Text, primary_key=True),
    Column("label", Text),
    Column("aliases", Document(tuple[str, ...]), nullable=False),
    Column("since", Timestamp, nullable=False),
    Column("since_there", Timestamp, nullable=False),
    Column("origin", Document(Origin), nullable=False),
)
"""Names that the source gives, as far as they differ from the believed ones."""

statements = table(
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
    partial_index("ix_statements_items", "value_text", "property", "subject", where="value_kind = 'item'"),
)

statement_history = table(
    "statement_history",
    serial(),
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

facts = table(
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
    Index(None, "property", "subject"),
    partial_index(
        "ix_facts_waiting", "property", "subject", where="believed_hash IS NULL OR believed_hash != observed_hash"
    ),
)

beliefs = table(
    "beliefs",
    serial(),
    Column("subject", Text, nullable=False),
    Column("property", Text, nullable=False),
    Column("at", Timestamp, nullable=False),
    Column("state", Document(FactState), nullable=False),
    ForeignKeyConstraint(["subject", "property"], ["facts.subject", "facts.property"]),
    Index(None, "subject", "property"),
)
"""Every change of what is believed; the newest row of a fact is what ``facts`` holds."""

quarantine = table(
    "quarantine",
    # Not a fact's key: consequences are in quarantine, too, and they are no rows of ``facts``.
    Column("subject", Text, ForeignKey("items.id"), primary_key=True),
    Column("property", Text, primary_key=True),
    Column("value_hash", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("at", Timestamp, nullable=False),
)

_JUDGED = ("model_fingerprint", "template_hash", "property")
verdicts = table(
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
    # Answers the count of verdicts on what is believed now by itself, so that no row with its evidence is read.
    Index("ix_verdicts_count", *_JUDGED, "subject", "value_hash", "names_hash", "kind"),
    Index("ix_verdicts_kind", *_JUDGED, "kind", "subject", "value_hash", "names_hash"),
)

tallies = table(
    "tallies",
    Column("property", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    Column("template_hash", Text, primary_key=True),
    Column("state", Text, primary_key=True),
    Column("facts", Whole, nullable=False),
    CheckConstraint("facts >= 1", name="facts"),
)
"""How many facts of a property are in a state, or have a verdict of a kind by a model (``repository/tallies.py``)."""

members = table(
    "members",
    Column("property", Text, primary_key=True),
    Column("item", Text, primary_key=True),
    Column("found_at", Timestamp, nullable=False),
)

decisions = table(
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

plans = table(
    "plans",
    Column("hash", Text, primary_key=True),
    Column("body", Document(EditPlan), nullable=False),
    CheckConstraint("length(hash) = 64", name="hash"),
)

plan_entries = table(
    "plan_entries",
    Column("subject", Text, primary_key=True),
    Column("property", Text, primary_key=True),
    Column("plan", Text, ForeignKey("plans.hash"), primary_key=True),
    Column("held", Flag, nullable=False),
    Column("body", Document(PlanEntry), nullable=False),
    Index(None, "plan", "held"),
)
"""The entries of every plan by fact, so that a question about one fact does not read all plans."""

plan_recordings = table(
    "plan_recordings",
    serial(),
    Column("plan", Text, ForeignKey("plans.hash"), nullable=False),
    Column("at", Timestamp, nullable=False),
    Column("counts", Document(PlanCounts)),
)
"""When each plan was the newest one, and its numbers, so that nobody reads a plan to count it."""


versions = table(
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

evaluations = table(
    "evaluations",
    serial(),
    Column("version", Whole, ForeignKey("versions.number"), nullable=False, index=True),
    Column("body", Document(Evaluation), nullable=False),
)
"""``body`` lacks the outcomes, which are rows of their own."""

outcomes = table(
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

deliveries = table(
    "deliveries",
    Column("hook", Text, primary_key=True),
    Column("move", Whole, nullable=False),
    Column("attempts", Whole, nullable=False),
    CheckConstraint("move >= 0", name="move"),
    CheckConstraint("attempts >= 0", name="attempts"),
)
"""By notifier (``hook``), the last move of an alias that it was told of, or that was given up, and the attempts at the
next one."""

alias_moves = table(
    "alias_moves",
    serial(),
    Column("name", Text, nullable=False, index=True),
    Column("version", Whole, ForeignKey("versions.number")),
    Column("token", Whole, nullable=False),
    Column("moved_at", Timestamp, nullable=False),
    CheckConstraint("token >= 1", name="token"),
)

leases = table(
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
"""Tables whose rows are never changed or removed; triggers ensure it (``triggers.py``)."""
