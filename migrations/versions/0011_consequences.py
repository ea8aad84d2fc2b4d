"""Consequences can be in quarantine, which are no rows of ``facts``: the quarantine refers to items instead."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

TO_FACTS, TO_ITEMS = "fk_quarantine_subject_property_facts", "fk_quarantine_subject_items"


def upgrade() -> None:
    with op.batch_alter_table("quarantine", table_kwargs={"sqlite_strict": True}) as table:
        table.drop_constraint(op.f(TO_FACTS), type_="foreignkey")
        table.create_foreign_key(op.f(TO_ITEMS), "items", ["subject"], ["id"])


def downgrade() -> None:
    quarantine, facts = (
        sa.table("quarantine", sa.column("subject"), sa.column("property")),
        sa.table("facts", sa.column("subject"), sa.column("property")),
    )
    is_a_fact = sa.exists().where(facts.c.subject == quarantine.c.subject, facts.c.property == quarantine.c.property)
    op.execute(sa.delete(quarantine).where(~is_a_fact))
    with op.batch_alter_table("quarantine", table_kwargs={"sqlite_strict": True}) as table:
        table.drop_constraint(op.f(TO_ITEMS), type_="foreignkey")
        table.create_foreign_key(op.f(TO_FACTS), "facts", ["subject", "property"], ["subject", "property"])
