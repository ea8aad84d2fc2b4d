"""What every ledger must do: leases, aliases, the audit trail, and writers that wait for each other."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.audit import GENESIS, verify
from kbsync.domain.errors import Busy, DataError, LeaseLost, NotFound
from kbsync.domain.version import CURRENT, VersionState
from kbsync.ledger.ledger import SqlLedger
from tests.support.ledger_builders import HOUR, NOW, edit_plan
from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates  # noqa: F401

TTL = timedelta(minutes=5)


def acquire(ledger, holder="one", now=NOW, name="writer"):
    with ledger.write() as tx:
        return tx.acquire_lease(name, holder, TTL, now)


class TestLease:
    def test_is_one_holders_until_it_expires(self, ledger):
        lease = acquire(ledger)
        assert (lease.token, lease.expires) == (1, NOW + TTL)
        with pytest.raises(Busy, match="one holds the lease 'writer' until 2026-03-01 12:05:00 UTC"):
            acquire(ledger, "two", NOW + TTL - timedelta(microseconds=1))
        assert acquire(ledger, "two", NOW + TTL).token == 2

    def test_is_not_given_twice_to_processes_of_one_name(self, ledger):
        acquire(ledger)
        with pytest.raises(Busy):
            acquire(ledger)

    def test_leases_of_other_names_are_free(self, ledger):
        acquire(ledger)
        assert acquire(ledger, "two", name="other").token == 1

    def test_renewal_moves_the_end(self, ledger):
        lease = acquire(ledger)
        with ledger.write() as tx:
            renewed = tx.renew_lease(lease, TTL, NOW + TTL / 2)
        assert renewed == replace(lease, expires=NOW + TTL * 1.5)
        with pytest.raises(Busy):
            acquire(ledger, "two", NOW + TTL)

    def test_renewal_of_an_expired_or_taken_lease_is_refused(self, ledger):
        lease = acquire(ledger)
        with pytest.raises(LeaseLost, match="ran out"), ledger.write() as tx:
            tx.renew_lease(lease, TTL, NOW + TTL)
        acquire(ledger, "two", NOW + TTL)
        with pytest.raises(LeaseLost, match=r"token 2 is the newest\. two holds it"), ledger.write() as tx:
            tx.renew_lease(lease, TTL, NOW)

    def test_a_released_one_is_free_and_its_token_never_comes_back(self, ledger):
        lease = acquire(ledger)
        with ledger.write() as tx:
            tx.release_lease(lease)
            tx.release_lease(lease)
        with pytest.raises(LeaseLost), ledger.write() as tx:
            tx.renew_lease(lease, TTL, NOW)
        assert acquire(ledger, "two").token == 2

    def test_releasing_a_lost_one_takes_nothing_from_its_new_holder(self, ledger):
        lost = acquire(ledger)
        held = acquire(ledger, "two", NOW + TTL)
        with ledger.write() as tx:
            tx.release_lease(lost)
            tx.renew_lease(held, TTL, NOW + TTL)

    def test_a_rolled_back_one_was_never_held(self, ledger):
        with pytest.raises(RuntimeError), ledger.write() as tx:
            tx.acquire_lease("writer", "one", TTL, NOW)
            raise RuntimeError
        assert acquire(ledger, "two").holder == "two"


@pytest.fixture
def built(ledger):
    """Versions 1 and 2 have weights, version 3 is building."""
    with ledger.write() as tx:
        for number, target in enumerate(("Ada", "Bob", "Cleo"), start=1):
            plan = edit_plan(target)
            tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
            if number < 3:
                tx.set_version_state(number, VersionState.CANDIDATE, version_hash=f"hash of {number}")
    return ledger


def move(ledger, number, lease, at=NOW):
    with ledger.write() as tx:
        tx.move_alias(CURRENT, number, lease, at)


class TestAlias:
    def test_every_move_is_kept_and_the_last_one_counts(self, built):
        lease = acquire(built)
        with built.read() as tx:
            assert tx.alias(CURRENT) is None
            assert tx.alias_moves(CURRENT) == []
        for hours, number in enumerate((1, 2, 0, 1)):
            if hours:
                with built.write() as tx:
                    lease = tx.renew_lease(replace(lease), hours * HOUR + TTL, NOW)
            move(built, number, lease, NOW + hours * HOUR)
        with built.read() as tx:
            moves = tx.alias_moves(CURRENT)
            assert [(m.number, m.moved_at, m.token) for m in moves] == [
                (number, NOW + hours * HOUR, lease.token) for hours, number in enumerate((1, 2, 0, 1))
            ]
            assert tx.alias(CURRENT) == moves[-1]
            assert tx.alias("candidate") is None

    def test_a_stale_token_moves_nothing(self, built):
        lost = acquire(built)
        held = acquire(built, "two", NOW + TTL)
        move(built, 1, held, NOW + TTL)
        with pytest.raises(LeaseLost, match="token 1 is lost: token 2 is the newest"):
            move(built, 2, lost, NOW)
        with built.read() as tx:
            assert tx.alias(CURRENT).number == 1

    @pytest.mark.parametrize(
        ("lie", "at"),
        [
            ({}, NOW + TTL),
            ({"expires": NOW + 9 * TTL}, NOW + TTL),
            ({"token": 2}, NOW),
            ({"holder": "two"}, NOW),
            ({"name": "other"}, NOW),
        ],
        ids=["expired", "forged expiry", "forged token", "forged holder", "no such lease"],
    )
    def test_only_the_stored_lease_counts(self, built, lie, at):
        with pytest.raises(LeaseLost):
            move(built, 1, replace(acquire(built), **lie), at)
        with built.read() as tx:
            assert tx.alias(CURRENT) is None

    def test_a_refused_move_takes_its_transaction_with_it(self, built):
        lost = acquire(built)
        acquire(built, "two", NOW + TTL)
        with pytest.raises(LeaseLost), built.write() as tx:
            tx.append_audit("promote", "test", {"version": 1}, NOW)
            tx.set_version_state(1, VersionState.PROMOTED)
            tx.move_alias(CURRENT, 1, lost, NOW)
        with built.read() as tx:
            assert tx.audit() == []
            assert tx.version(1).state is VersionState.CANDIDATE

    def test_points_only_to_versions_with_weights(self, built):
        lease = acquire(built)
        with pytest.raises(DataError, match="no stored weights"):
            move(built, 3, lease)
        with pytest.raises(NotFound, match="no version 4"):
            move(built, 4, lease)


class TestAudit:
    def test_events_form_a_chain(self, ledger):
        body = {"what": "naïve “quotes” 東京 \x00", "floats": [1.0, 1e300, -1e-17, 0.1], "at": NOW, "none": None}
        with ledger.write() as tx:
            assert tx.audit_head() == GENESIS
            first = tx.append_audit("pull", "cli:alice", body, NOW)
            second = tx.append_audit("probe", "daemon", {"nested": {"b": (1, 2), "a": True}}, NOW + HOUR)
        assert (first.seq, first.prev, second.seq, second.prev) == (1, GENESIS, 2, first.hash)
        with ledger.read() as tx:
            assert tx.audit() == [first, second]
            assert tx.audit(after=1) == [second]
            assert tx.audit(limit=1) == [first]
            assert tx.audit_head() == second.hash
            assert verify(tx.audit()) is None

    def test_four_writers_append_fifty_each_without_an_error(self, ledger):
        def append(writer: int) -> None:
            for number in range(50):
                with ledger.write() as tx:
                    tx.append_audit("pull", f"writer {writer}", {"number": number}, NOW)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(append, range(4)))
        with ledger.read() as tx:
            events = tx.audit()
        assert verify(events) is None
        for writer in range(4):
            numbers = [e.body["number"] for e in events if e.actor == f"writer {writer}"]
            assert numbers == list(range(50))


class TestWriters:
    def test_the_second_waits_for_the_first(self, ledger):
        inside, order = threading.Event(), []

        def second() -> None:
            inside.wait()
            with ledger.write() as tx:
                order.append(tx.audit()[-1].actor)

        thread = threading.Thread(target=second)
        thread.start()
        with ledger.write() as tx:
            inside.set()
            thread.join(timeout=0.2)
            assert order == []
            tx.append_audit("pull", "first", {}, NOW)
        thread.join(timeout=30)
        assert order == ["first"]

    def test_one_that_waited_too_long_is_told_to_come_again(self, ledger, ledger_url):
        hasty = SqlLedger(ledger_url, patience=timedelta(milliseconds=50))
        with ledger.write() as tx:
            tx.append_audit("pull", "first", {}, NOW)
            with pytest.raises(Busy, match="Another process is writing"), hasty.write():
                raise AssertionError("two writers at once")
        with hasty.write() as tx:
            assert tx.append_audit("pull", "second", {}, NOW).seq == 2
        hasty.close()
