"""The suite notices a ledger that breaks a promise about leases."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.errors import Busy
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.repository.leases import SqlLeaseReader, SqlLeaseWriter
from kbsync.testing.conformance.ledgers.leases import LeaseConformance

SUITE = LeaseConformance()


def test_a_ledger_that_gives_a_lease_to_everybody(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlLeaseReader, "held_lease", lambda self, name: None)
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_a_lease_is_one_holders_until_it_expires(ledger)


def test_a_ledger_that_renews_whatever_it_is_asked_to(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.ledger.repository.leases.require_held", lambda *_: None)
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_renewal_of_an_expired_or_taken_lease_is_refused(ledger)


def test_a_ledger_that_keeps_what_was_given_back(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlLeaseWriter, "release_lease", lambda self, lease: None)
    with pytest.raises(AssertionError):
        SUITE.test_others_see_who_holds_a_lease_until_it_is_given_back(ledger)


def test_a_ledger_that_believes_a_wrong_clock(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.ledger.repository.leases.LEEWAY", timedelta(days=90_000))
    with pytest.raises(Busy):
        SUITE.test_a_lease_that_no_holder_can_have_is_void(ledger)


def test_a_ledger_that_lets_a_broken_holder_go_on(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlLeaseWriter, "break_lease", SqlLeaseWriter.held_lease)
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_a_lease_that_is_broken_is_free_and_its_holder_is_refused(ledger)
