"""What the tests of a ledger share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId, ItemRecord, PropertyId, Statement
from kbsync.domain.version import CURRENT, Version, VersionState
from kbsync.ports import LeaseToken, Ledger, PullCounts, StatementChange
from kbsync.testing.samples import CAPITAL, HEAD_OF_STATE, NOW, edit_plan

UK = ItemId("Q145")
Q1, Q2, Q3, Q7, Q9, Q30 = (ItemId(item) for item in ("Q1", "Q2", "Q3", "Q7", "Q9", "Q30"))
BOTH = (HEAD_OF_STATE, CAPITAL)
TTL = timedelta(minutes=5)


def fact_key(item: str, property: str = HEAD_OF_STATE) -> FactKey:
    """The key of a fact about the item."""
    return FactKey(ItemId(item), PropertyId(property))


def put(
    ledger: Ledger, *records: ItemRecord, properties: Sequence[PropertyId] = BOTH, at: datetime = NOW
) -> PullCounts:
    """Record items in a transaction of their own."""
    with ledger.write() as tx:
        return tx.record_items(records, properties, at)


def live(ledger: Ledger, subject: ItemId = UK, property: PropertyId = HEAD_OF_STATE) -> list[Statement]:
    """Live statements, read in a transaction of their own."""
    with ledger.read() as tx:
        return tx.statements(subject, property)


def history(ledger: Ledger, subject: ItemId = UK, property: PropertyId = HEAD_OF_STATE) -> list[StatementChange]:
    """The history, read in a transaction of its own."""
    with ledger.read() as tx:
        return tx.statement_history(subject, property)


def add_version(ledger: Ledger, *targets: str, predecessor: int = 0, built: bool = False) -> Version:
    """Plan these targets and add a version for the plan; ``built``: as if its weights were stored."""
    plan = edit_plan(*targets, predecessor=predecessor)
    with ledger.write() as tx:
        version = tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
        if built:
            tx.set_version_state(version.number, VersionState.CANDIDATE, version_hash=f"hash of {version.number}")
    return version


def acquire(ledger: Ledger, holder: str = "one", now: datetime = NOW, name: str = "writer") -> LeaseToken:
    """Acquire a lease in a transaction of its own."""
    with ledger.write() as tx:
        return tx.acquire_lease(name, holder, TTL, now)


def move(ledger: Ledger, number: int, lease: LeaseToken, at: datetime = NOW) -> None:
    """Move ``current``."""
    with ledger.write() as tx:
        tx.move_alias(CURRENT, number, lease, at)
