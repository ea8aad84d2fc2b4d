"""What the repository of aliases says when it refuses, and how far notifiers were told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.errors import DataError, LeaseLost, NotFound
from kbsync.domain.version import CURRENT
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Delivered
from kbsync.testing.samples import NOW, edit_plan

TTL = timedelta(minutes=5)


@pytest.fixture
def building(ledger: SqlLedger) -> SqlLedger:
    """Version 1 has no weights yet."""
    plan = edit_plan("Ada")
    with ledger.write() as tx:
        tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
    return ledger


def test_a_version_that_an_alias_can_not_point_to_is_named(building: SqlLedger) -> None:
    with building.write() as tx:
        lease = tx.acquire_lease("writer", "one", TTL, NOW)
    with pytest.raises(DataError, match="Version 1 has no stored weights, so 'current' can"), building.write() as tx:
        tx.move_alias(CURRENT, 1, lease, NOW)
    with pytest.raises(NotFound, match="The ledger holds no version 4"), building.write() as tx:
        tx.move_alias(CURRENT, 4, lease, NOW)


def test_a_stale_token_is_named_with_the_newest(ledger: SqlLedger) -> None:
    with ledger.write() as tx:
        lost = tx.acquire_lease("writer", "one", TTL, NOW)
    with ledger.write() as tx:
        tx.acquire_lease("writer", "two", TTL, NOW + TTL)
    with pytest.raises(LeaseLost, match="token 1 is lost: token 2 is the newest"), ledger.write() as tx:
        tx.move_alias(CURRENT, 0, lost, NOW)


def test_a_notifiers_deliveries_are_replaced(ledger: SqlLedger) -> None:
    with ledger.write() as tx:
        assert tx.delivery("webhook") is None
        tx.set_delivery(Delivered(notifier="webhook", move=3, attempts=2))
        tx.set_delivery(Delivered(notifier="command", move=1, attempts=0))
        tx.set_delivery(Delivered(notifier="webhook", move=4, attempts=0))
    with ledger.read() as tx:
        assert tx.delivery("webhook") == Delivered(notifier="webhook", move=4, attempts=0)
        assert tx.delivery("command") == Delivered(notifier="command", move=1, attempts=0)
