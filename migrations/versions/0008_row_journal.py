"""The row journal: hashes of all rows that decide what is written.

``kbsync db upgrade`` then takes the rows of an older ledger into it as they are.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
TEXT = sa.Text()


def upgrade() -> None:
    op.create_table(
        "row_journal",
        sa.Column("seq", WHOLE, sa.Identity(), nullable=False),
        sa.Column("size", WHOLE, nullable=False),
        sa.Column("trail", TEXT, nullable=False),
        sa.Column("body", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_row_journal")),
        sa.UniqueConstraint("hash", name=op.f("uq_row_journal_hash")),
        sa.CheckConstraint("size >= 1", name=op.f("ck_row_journal_size")),
        sa.CheckConstraint("length(hash) = 64", name=op.f("ck_row_journal_hash")),
        sqlite_strict=True,
    )


def downgrade() -> None:
    op.drop_table("row_journal")
