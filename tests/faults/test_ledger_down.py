"""A database server that goes away and comes back."""

from __future__ import annotations

import pytest
from sqlalchemy import create_engine, text

from kbsync.domain.errors import LedgerDown
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from tests.support.postgres_server import Postgres


def test_a_connection_that_the_server_ends_is_a_passing_trouble(postgres: Postgres) -> None:
    url = postgres.database()
    schema.upgrade(url)
    ledger = SqlLedger(url)
    other = create_engine(url, isolation_level="AUTOCOMMIT")
    end = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    with pytest.raises(LedgerDown) as caught, ledger.write() as tx:
        tx.audit_head()
        with other.connect() as connection:
            connection.execute(text(end))
        tx.audit_head()
    assert caught.value.transient and caught.value.exit_code == 74 and caught.value.kept
    with ledger.read() as tx:
        assert tx.audit_head()
    ledger.close()
    other.dispose()


def test_a_server_that_is_not_there_is_a_passing_trouble() -> None:
    with pytest.raises(LedgerDown):
        SqlLedger("postgresql://nobody@127.0.0.1:1/kbsync")
