"""The suite notices a ledger that breaks a promise about transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC

import pytest

from kbsync.domain.errors import Busy
from kbsync.ledger.engine import reading
from kbsync.ledger.ledger import SqlLedger, SqlLedgerTransaction
from kbsync.ports import LedgerTransaction
from kbsync.testing.conformance.ledgers.transactions import TransactionConformance

SUITE = TransactionConformance()


class Committing(SqlLedger):
    """Commits what was done before an exception, too."""

    @contextmanager
    def write(self) -> Iterator[LedgerTransaction]:
        with super().write() as tx:
            assert isinstance(tx, SqlLedgerTransaction)
            try:
                yield tx
            except BaseException:
                tx._connection.commit()
                raise


class Crowded(SqlLedger):
    """Lets everybody write at once, each in a snapshot that is thrown away."""

    @contextmanager
    def write(self) -> Iterator[LedgerTransaction]:
        with reading(self._engine) as connection:
            yield SqlLedgerTransaction(connection)


@pytest.fixture
def url(ledger: SqlLedger) -> str:
    return ledger._engine.url.render_as_string()


def test_a_ledger_that_commits_after_an_exception(url: str) -> None:
    ledger = Committing(url)
    with pytest.raises(AssertionError):
        SUITE.test_a_transaction_rolls_back_on_any_exception(ledger, RuntimeError)
    ledger.close()


def test_a_ledger_that_lets_two_write_at_once(url: str) -> None:
    ledger, hasty = Crowded(url), Crowded(url)
    with pytest.raises((AssertionError, Busy)):
        SUITE.test_a_writer_that_waited_too_long_is_told_to_come_again(ledger, hasty)
    hasty.close()
    ledger.close()


def test_a_ledger_that_does_not_give_times_back(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.ledger.types.utc", lambda stored: None)
    with pytest.raises(AssertionError):
        SUITE.test_times_come_back_in_utc_to_the_microsecond(ledger, UTC)
