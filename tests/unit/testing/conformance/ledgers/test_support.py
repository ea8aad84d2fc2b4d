"""What the tests of a ledger share does to a ledger what its names say."""

from __future__ import annotations

from kbsync.domain.version import CURRENT, VersionState
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import PullCounts
from kbsync.testing.conformance.ledgers.support import UK, acquire, add_version, fact_key, history, live, move, put
from kbsync.testing.samples import HEAD_OF_STATE, NOW, record, statement


def test_items_are_put_and_seen(ledger: SqlLedger) -> None:
    assert put(ledger, record(statement(1))) == PullCounts(added=1)
    assert live(ledger) == [statement(1)]
    assert [(change.before, change.after) for change in history(ledger)] == [(None, statement(1))]
    assert fact_key("Q145") == (UK, HEAD_OF_STATE)


def test_a_version_is_added_and_made_current(ledger: SqlLedger) -> None:
    building, built = add_version(ledger, "Ada"), add_version(ledger, "Bob", built=True)
    assert (building.number, built.number) == (1, 2)
    move(ledger, built.number, acquire(ledger), NOW)
    with ledger.read() as tx:
        assert [version.state for version in tx.versions()] == [VersionState.BUILDING, VersionState.CANDIDATE]
        alias = tx.alias(CURRENT)
    assert alias is not None and alias.number == 2
