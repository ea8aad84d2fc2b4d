"""What Alembic runs: `kbsync db upgrade` passes a connection, developers name a database by `-x url=...`."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from kbsync.ledger import triggers
from kbsync.ledger.engine import make_engine, parse_url, writing
from kbsync.ledger.schema import VERSION_TABLE
from kbsync.ledger.tables import metadata


def migrate(connection: Connection) -> None:
    """Run the migrations, and install the triggers that a rebuilt table has lost."""
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table=VERSION_TABLE,
        # Another program may have tables of its own beside the ledger's.
        include_name=lambda name, kind, _parents: kind != "table" or name in metadata.tables,
        render_as_batch=True,
        compare_type=True,
        transactional_ddl=True,
    )
    context.run_migrations()
    triggers.install(connection)


passed = context.config.attributes.get("connection")
if passed is not None:
    migrate(passed)
else:
    url = context.get_x_argument(as_dictionary=True).get("url")
    if not url:
        raise SystemExit("Name the database: alembic -c migrations/alembic.ini -x url=sqlite:////tmp/ledger.db ...")
    engine = make_engine(parse_url(url), foreign_keys=False)
    with writing(engine) as connection:
        migrate(connection)
    engine.dispose()
