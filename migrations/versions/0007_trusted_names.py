"""Names wait until they are believed, and a verdict holds for the names that it was judged by.

The names of an older ledger count as believed. Its verdicts stay, but nobody knows the names behind them, so these
facts are asked anew.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import sqlalchemy as sa
from alembic import op
from alembic.operations import BatchOperations

revision = "0007"
down_revision = "0006"

TIME = sa.DateTime(timezone=True).with_variant(sa.Text(), "sqlite")
TEXT = sa.Text()
COUNTED = ("model_fingerprint", "template_hash", "property", "subject", "value_hash")


def upgrade() -> None:
    op.create_table(
        "pending_names",
        sa.Column("item", TEXT, nullable=False),
        sa.Column("label", TEXT),
        sa.Column("aliases", TEXT, nullable=False),
        sa.Column("since", TIME, nullable=False),
        sa.Column("since_there", TIME, nullable=False),
        sa.Column("origin", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("item", name=op.f("pk_pending_names")),
        sqlite_strict=True,
    )
    op.add_column("facts", sa.Column("names_hash", TEXT))
    op.drop_index(op.f("ix_verdicts_count"), "verdicts")
    op.add_column("verdicts", sa.Column("names_hash", TEXT, nullable=False, server_default=""))
    with _verdicts() as table:
        table.alter_column("names_hash", server_default=None)
    op.create_index(op.f("ix_verdicts_count"), "verdicts", [*COUNTED, "names_hash", "kind"])


def downgrade() -> None:
    op.drop_index(op.f("ix_verdicts_count"), "verdicts")
    with _verdicts() as table:
        table.drop_column("names_hash")
    op.create_index(op.f("ix_verdicts_count"), "verdicts", [*COUNTED, "kind"])
    with op.batch_alter_table("facts", table_kwargs={"sqlite_strict": True}) as table:
        table.drop_column("names_hash")
    op.drop_table("pending_names")


def _verdicts() -> AbstractContextManager[BatchOperations]:
    return op.batch_alter_table("verdicts", table_kwargs={"sqlite_strict": True})
