"""The tables of the audit trail and of the row journal: two hash chains that hold each other's heads."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CheckConstraint, Column, Index, Text

from kbsync.domain.audit import GENESIS
from kbsync.ledger.table_parts import serial, table
from kbsync.ledger.types import Document, Timestamp, Whole

audit_events = table(
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

row_journal = table(
    "row_journal",
    serial(),
    Column("size", Whole, nullable=False),
    Column("trail", Text, nullable=False),
    Column("body", Document(dict[str, Any]), nullable=False),
    Column("hash", Text, nullable=False, unique=True),
    CheckConstraint("size >= 1", name="size"),
    CheckConstraint("length(hash) = 64", name="hash"),
)
"""Hashes of the rows of all other tables that influence what is edited (``row_journal.py``)."""
