"""The suite notices a ledger that breaks a promise about aliases."""

from __future__ import annotations

import pytest

from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.repository.releases import SqlReleaseReader
from kbsync.testing.conformance.ledgers.releases import ReleaseConformance
from kbsync.testing.conformance.ledgers.support import add_version

SUITE = ReleaseConformance()


@pytest.fixture
def built(ledger: SqlLedger) -> SqlLedger:
    for target in ("Ada", "Bob"):
        add_version(ledger, target, built=True)
    add_version(ledger, "Cleo")
    return ledger


def test_a_ledger_that_asks_for_no_lease(built: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.ledger.repository.releases.require_held", lambda *_: None)
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_a_stale_token_moves_nothing(built)


def test_a_ledger_that_lets_a_refused_move_pass(built: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.ledger.repository.releases.require_held", lambda *_: None)
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_a_refused_move_of_an_alias_takes_its_transaction_with_it(built)


def test_a_ledger_that_remembers_the_first_position(built: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    moves = SqlReleaseReader.alias_moves
    monkeypatch.setattr(SqlReleaseReader, "alias", lambda self, name: next(iter(moves(self, name)), None))
    with pytest.raises(AssertionError):
        SUITE.test_every_move_of_an_alias_is_kept_and_the_last_one_counts(built)
