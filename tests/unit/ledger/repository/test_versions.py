"""What the repository of plans and versions says when it refuses; the rest is the conformance suite's."""

from __future__ import annotations

import pytest

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError, NotFound
from kbsync.domain.version import VersionState
from kbsync.ledger.ledger import SqlLedger
from kbsync.testing.samples import NOW, edit_plan, evaluation


@pytest.fixture
def building(ledger: SqlLedger) -> SqlLedger:
    """Version 1 has no weights yet."""
    plan = edit_plan("Ada")
    with ledger.write() as tx:
        tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
    return ledger


def test_a_plan_or_version_that_is_unknown_is_named(ledger: SqlLedger) -> None:
    plan, successor = edit_plan("Ada"), edit_plan("Ada", predecessor=4)
    with pytest.raises(NotFound, match=f"no plan {content_hash(plan)}"), ledger.write() as tx:
        tx.add_version(content_hash(plan), plan, NOW)
    with pytest.raises(NotFound, match="no version 4"), ledger.write() as tx:
        tx.add_version(tx.record_plan(successor, NOW).plan_hash, successor, NOW)
    with pytest.raises(NotFound, match="no version 9"), ledger.write() as tx:
        tx.set_version_state(9, VersionState.PROMOTED)
    with pytest.raises(NotFound, match="no version 9"), ledger.write() as tx:
        tx.record_evaluation(evaluation(9))


def test_a_state_that_does_not_fit_the_weights_is_named(building: SqlLedger) -> None:
    with pytest.raises(DataError, match="no stored weights, so its state can't be 'refused'"), building.write() as tx:
        tx.set_version_state(1, VersionState.REFUSED)
    with building.write() as tx:
        tx.set_version_state(1, VersionState.CANDIDATE, version_hash="h")
    with pytest.raises(DataError, match="has the hash h, which another can't replace"), building.write() as tx:
        tx.set_version_state(1, VersionState.CANDIDATE, version_hash="another")
    with pytest.raises(DataError, match="has stored weights, so its state can't be 'building'"), building.write() as tx:
        tx.set_version_state(1, VersionState.BUILDING)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_figures_that_json_can_not_say_are_named(building: SqlLedger, value: float) -> None:
    with pytest.raises(DataError, match="type Evaluation can't be recorded"), building.write() as tx:
        tx.record_evaluation(evaluation(1, value=value))
