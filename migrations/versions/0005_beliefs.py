"""What was believed of each fact, and since when, in rows that are only added.

The rows of an older ledger begin with what it believes now.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
TEXT = sa.Text()


def upgrade() -> None:
    op.create_table(
        "beliefs",
        sa.Column("seq", WHOLE, sa.Identity(), nullable=False),
        sa.Column("subject", TEXT, nullable=False),
        sa.Column("property", TEXT, nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_beliefs")),
        sa.ForeignKeyConstraint(
            ["subject", "property"], ["facts.subject", "facts.property"], name=op.f("fk_beliefs_subject_property_facts")
        ),
        sqlite_strict=True,
    )
    op.create_index(op.f("ix_beliefs_subject_property"), "beliefs", ["subject", "property"])
    op.execute(
        "INSERT INTO beliefs (subject, property, at, state) SELECT subject, property, believed_at, believed "
        "FROM facts WHERE believed IS NOT NULL ORDER BY believed_at, property, subject"
    )


def downgrade() -> None:
    op.drop_table("beliefs")
