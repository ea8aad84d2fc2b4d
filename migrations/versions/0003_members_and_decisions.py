"""Members that subject patterns found, and what people decided about facts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
TEXT = sa.Text()


def upgrade() -> None:
    op.create_table(
        "members",
        sa.Column("property", TEXT, nullable=False),
        sa.Column("item", TEXT, nullable=False),
        sa.Column("found_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("property", "item", name=op.f("pk_members")),
        sqlite_strict=True,
    )
    op.create_table(
        "decisions",
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("property", TEXT, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.CheckConstraint("kind IN ('pin', 'exclude')", name=op.f("ck_decisions_kind")),
        sa.PrimaryKeyConstraint("subject", "property", name=op.f("pk_decisions")),
        sa.ForeignKeyConstraint(
            ["subject", "property"],
            ["facts.subject", "facts.property"],
            name=op.f("fk_decisions_subject_property_facts"),
        ),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("decisions")
    op.drop_table("members")
