"""What every ledger must do with leases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.errors import Busy, LeaseLost
from kbsync.ports import HeldLease, Ledger
from kbsync.testing.conformance.ledgers.support import TTL, acquire
from kbsync.testing.samples import NOW


class LeaseConformance:
    """A lease has one holder, and every new holder a higher token."""

    def test_a_lease_is_one_holders_until_it_expires(self, ledger: Ledger) -> None:
        lease = acquire(ledger)
        assert (lease.token, lease.expires) == (1, NOW + TTL)
        with pytest.raises(Busy, match="one"):
            acquire(ledger, "two", NOW + TTL - timedelta(microseconds=1))
        assert acquire(ledger, "two", NOW + TTL).token == 2

    def test_a_lease_is_not_given_twice_to_processes_of_one_name(self, ledger: Ledger) -> None:
        acquire(ledger)
        with pytest.raises(Busy):
            acquire(ledger)

    def test_leases_of_other_names_are_free(self, ledger: Ledger) -> None:
        acquire(ledger)
        assert acquire(ledger, "two", name="other").token == 1

    def test_renewal_of_a_lease_moves_the_end(self, ledger: Ledger) -> None:
        lease = acquire(ledger)
        with ledger.write() as tx:
            renewed = tx.renew_lease(lease, TTL, NOW + TTL / 2)
        assert renewed == replace(lease, expires=NOW + TTL * 1.5)
        with pytest.raises(Busy):
            acquire(ledger, "two", NOW + TTL)

    def test_renewal_of_an_expired_or_taken_lease_is_refused(self, ledger: Ledger) -> None:
        lease = acquire(ledger)
        with pytest.raises(LeaseLost), ledger.write() as tx:
            tx.renew_lease(lease, TTL, NOW + TTL)
        acquire(ledger, "two", NOW + TTL)
        with pytest.raises(LeaseLost), ledger.write() as tx:
            tx.renew_lease(lease, TTL, NOW)

    def test_a_released_lease_is_free_and_its_token_never_comes_back(self, ledger: Ledger) -> None:
        lease = acquire(ledger)
        with ledger.write() as tx:
            tx.release_lease(lease)
            tx.release_lease(lease)
        with pytest.raises(LeaseLost), ledger.write() as tx:
            tx.renew_lease(lease, TTL, NOW)
        assert acquire(ledger, "two").token == 2

    def test_releasing_a_lost_lease_takes_nothing_from_its_new_holder(self, ledger: Ledger) -> None:
        lost = acquire(ledger)
        held = acquire(ledger, "two", NOW + TTL)
        with ledger.write() as tx:
            tx.release_lease(lost)
            tx.renew_lease(held, TTL, NOW + TTL)

    def test_a_rolled_back_lease_was_never_held(self, ledger: Ledger) -> None:
        with pytest.raises(RuntimeError), ledger.write() as tx:
            tx.acquire_lease("writer", "one", TTL, NOW)
            raise RuntimeError
        assert acquire(ledger, "two").holder == "two"

    def test_others_see_who_holds_a_lease_until_it_is_given_back(self, ledger: Ledger) -> None:
        with ledger.read() as tx:
            assert tx.held_lease("writer") is None
        with ledger.write() as tx:
            lease = tx.acquire_lease("writer", "one", TTL, NOW, process="process 1")
        held = HeldLease(name="writer", holder="one", expires=NOW + TTL, process="process 1")
        with ledger.read() as tx:
            assert tx.held_lease("writer") == held
            assert tx.held_lease("other") is None
        with ledger.write() as tx:
            tx.renew_lease(lease, TTL, NOW + TTL / 2)
            assert tx.held_lease("writer") == replace(held, expires=NOW + TTL * 1.5)
            tx.release_lease(lease)
            assert tx.held_lease("writer") is None

    def test_a_lease_that_no_holder_can_have_is_void(self, ledger: Ledger) -> None:
        acquire(ledger, "of a wrong clock", NOW + timedelta(days=30_000))
        lease = acquire(ledger, "two")
        assert (lease.token, lease.taken_from) == (2, "of a wrong clock")

    def test_a_lease_that_is_broken_is_free_and_its_holder_is_refused(self, ledger: Ledger) -> None:
        lease = acquire(ledger)
        with ledger.write() as tx:
            broken = tx.break_lease(lease.name)
        assert broken is not None and (broken.holder, broken.expires) == (lease.holder, lease.expires)
        with pytest.raises(LeaseLost), ledger.write() as tx:
            tx.renew_lease(lease, TTL, NOW)
        assert acquire(ledger, "two").token > lease.token + 1
        with ledger.write() as tx:
            assert tx.break_lease("never held") is None
