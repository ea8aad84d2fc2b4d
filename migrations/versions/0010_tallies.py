"""How many facts are in which state is kept beside them, and every recorded plan in numbers of facts.

``kbsync db upgrade`` counts what an older ledger holds.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()


def upgrade() -> None:
    op.create_table(
        "tallies",
        sa.Column("property", TEXT, nullable=False),
        sa.Column("model", TEXT, nullable=False),
        sa.Column("template_hash", TEXT, nullable=False),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("facts", WHOLE, nullable=False),
        sa.PrimaryKeyConstraint("property", "model", "template_hash", "state", name=op.f("pk_tallies")),
        sa.CheckConstraint("facts >= 1", name=op.f("ck_tallies_facts")),
        sqlite_strict=True,
    )
    op.add_column("plan_recordings", sa.Column("counts", TEXT))


def downgrade() -> None:
    with op.batch_alter_table("plan_recordings") as batch:
        batch.drop_column("counts")
    op.drop_table("tallies")
