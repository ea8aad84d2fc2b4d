"""What the repository of leases says when it refuses; the rest is the conformance suite's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from kbsync.domain.errors import Busy, LeaseLost
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import LeaseToken
from kbsync.testing.samples import NOW
from tests.support import ledger_raw as raw

TTL = timedelta(minutes=5)


def acquire(ledger: SqlLedger, holder: str = "one", now: datetime = NOW) -> LeaseToken:
    with ledger.write() as tx:
        return tx.acquire_lease("writer", holder, TTL, now)


def test_the_other_holder_is_named_with_the_end_of_its_lease(ledger: SqlLedger) -> None:
    acquire(ledger)
    with pytest.raises(Busy, match="one holds the lease 'writer' until 2026-03-01 12:05:00 UTC"):
        acquire(ledger, "two", NOW + TTL - timedelta(microseconds=1))


def test_an_expired_lease_is_told_from_a_lost_one(ledger: SqlLedger) -> None:
    lease = acquire(ledger)
    with pytest.raises(LeaseLost, match="ran out at 2026-03-01 12:05:00 UTC"), ledger.write() as tx:
        tx.renew_lease(lease, TTL, NOW + TTL)
    acquire(ledger, "two", NOW + TTL)
    with pytest.raises(LeaseLost, match=r"token 2 is the newest\. two holds it"), ledger.write() as tx:
        tx.renew_lease(lease, TTL, NOW)


def test_a_lease_that_never_was_has_no_newest_token(ledger: SqlLedger) -> None:
    forged = replace(acquire(ledger), name="other")
    with pytest.raises(LeaseLost, match="'other' with token 1 is lost: no token is the newest"), ledger.write() as tx:
        tx.renew_lease(forged, TTL, NOW)


def test_a_dead_holders_lease_is_taken_over_before_it_ends(ledger: SqlLedger) -> None:
    with ledger.write() as tx:
        tx.acquire_lease("writer", "one", TTL, NOW, process="gone")
    with ledger.write() as tx:
        taken = tx.acquire_lease("writer", "two", TTL, NOW, is_gone=lambda process: process == "gone")
    assert (taken.token, taken.holder, taken.taken_from) == (2, "two", "one")
    assert acquire(ledger, "three", NOW + TTL).taken_from == "", "an expired one is nobody's"


@pytest.mark.hardening
def test_a_token_that_no_ledger_counts_to_keeps_nobody_from_writing(ledger: SqlLedger, ledger_url: str) -> None:
    acquire(ledger)
    raw.run(ledger_url, "UPDATE leases SET token = 9223372036854775807, expires = NULL, holder = NULL")
    lease = acquire(ledger)
    with ledger.write() as tx:
        assert tx.renew_lease(lease, TTL, NOW).token == lease.token < 2**53
    raw.run(ledger_url, "UPDATE leases SET token = 9223372036854775807")
    with ledger.write() as tx:
        assert tx.break_lease("writer") is not None
    assert acquire(ledger, "two").holder == "two"
