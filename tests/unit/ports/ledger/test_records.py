"""The records that the ledger hands out."""

from __future__ import annotations

from datetime import timedelta

from kbsync.ports import HeldLease, PullCounts
from kbsync.testing.samples import NOW


def test_counts_of_pulls_are_added_by_kind() -> None:
    one = PullCounts(added=1, changed=2, removed=3, unchanged=4)
    assert one + PullCounts(added=10, unchanged=40) == PullCounts(added=11, changed=2, removed=3, unchanged=44)
    assert one + PullCounts() == one


def test_a_held_lease_is_told_with_its_holder_and_its_end() -> None:
    lease = HeldLease(name="writer", holder="cli:alice", expires=NOW + timedelta(minutes=5), process=None)
    assert str(lease) == "cli:alice holds the lease 'writer' until 2026-03-01 12:05:00 UTC."
