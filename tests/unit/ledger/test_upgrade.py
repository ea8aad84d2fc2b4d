"""An older ledger is brought up to date with all that is in it."""

from __future__ import annotations

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import text

from kbsync.ledger import schema
from kbsync.ledger.engine import make_engine, parse_url, writing
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.samples import HEAD_OF_STATE, NOW, record
from tests.support.filled_ledger import fill, rows
from tests.support.postgres_server import Postgres, shared
from tests.unit.ledger.test_schema import empty_url  # noqa: F401

EARLIER = [
    script.revision
    for script in ScriptDirectory(str(schema.migrations_directory())).walk_revisions()
    if script.revision != schema.REVISION
]


@pytest.fixture(scope="session")
def postgres() -> Postgres:
    return shared()


@pytest.mark.parametrize("earlier", EARLIER)
def test_a_filled_ledger_of_an_earlier_schema(empty_url: str, earlier: str) -> None:  # noqa: F811
    schema.upgrade(empty_url)
    fill(empty_url)
    before = rows(empty_url)
    engine = make_engine(parse_url(empty_url), foreign_keys=False)
    with writing(engine) as connection:
        command.downgrade(schema.alembic_config(connection), earlier)
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == earlier
    engine.dispose()
    schema.upgrade(empty_url)
    assert rows(empty_url) == before
    assert schema.check(empty_url) == []
    ledger = SqlLedger(empty_url)
    with ledger.write() as tx:
        assert tx.record_items([record(revision=901, subject="Q501")], [HEAD_OF_STATE], NOW).removed == 1
    ledger.close()
    assert schema.check(empty_url) == []
