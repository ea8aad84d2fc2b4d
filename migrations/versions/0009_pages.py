"""Indices along which the lists of the status page are read, a page at a time."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

WAITING = sa.text("believed_hash IS NULL OR believed_hash != observed_hash")
ITEMS = sa.text("value_kind = 'item'")
OF_KIND = ["model_fingerprint", "template_hash", "property", "kind", "subject", "value_hash", "names_hash"]


def upgrade() -> None:
    op.create_index(op.f("ix_facts_property_subject"), "facts", ["property", "subject"])
    op.create_index(
        op.f("ix_facts_waiting"),
        "facts",
        ["property", "subject"],
        sqlite_where=WAITING,
        postgresql_where=WAITING,
    )
    op.create_index(op.f("ix_verdicts_kind"), "verdicts", OF_KIND)
    op.create_index(
        op.f("ix_statements_items"),
        "statements",
        ["value_text", "property", "subject"],
        sqlite_where=ITEMS,
        postgresql_where=ITEMS,
    )


def downgrade() -> None:
    op.drop_index(op.f("ix_statements_items"), "statements")
    op.drop_index(op.f("ix_verdicts_kind"), "verdicts")
    op.drop_index(op.f("ix_facts_waiting"), "facts")
    op.drop_index(op.f("ix_facts_property_subject"), "facts")
