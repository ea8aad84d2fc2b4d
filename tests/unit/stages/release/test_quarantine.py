"""A person lets a fact out of quarantine."""

from __future__ import annotations

import pytest

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId
from kbsync.domain.version import VersionState
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.release.quarantine import free_fact
from tests.support.crowd_world import FEW, SEAT, SUBJECTS, plant
from tests.support.stage_world import CAPITAL, HEAD, World

FRANCE, ITALY = FactKey(ItemId("Q142"), HEAD), FactKey(ItemId("Q38"), CAPITAL)


@pytest.mark.slow
def test_a_culprit_is_tried_again_when_a_person_says_so(few: World) -> None:
    (planted,) = plant(few, 5, count=1)
    few.sync()
    few.base.harm = {}
    key = FactKey(ItemId(SUBJECTS[planted]), SEAT)
    assert free_fact(few.run, key, "checked by hand").already is False
    assert free_fact(few.run, key, "checked by hand").already is True
    result = few.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert len(result.planned.plan.requests) == FEW
    with few.ledger.read() as tx:
        (event,) = [e for e in tx.audit() if e.kind == "quarantine"]
    assert event.body["reason"] == "checked by hand"


@pytest.mark.slow
def test_refused_versions_that_hold_the_fact_are_measured_again(world: World) -> None:
    world.base.damage = {"The capital of France is": " Bonn"}
    assert world.sync().outcome is CycleOutcome.REFUSED
    with world.ledger.write() as tx:
        for key in (FRANCE, ITALY):
            tx.set_quarantine(key, "0" * 64, "it did harm", world.clock.now())
    assert free_fact(world.run, ITALY, "not in the version").was == "it did harm"
    with world.ledger.read() as tx:
        version = tx.version(1)
    assert version is not None and version.state is VersionState.REFUSED
    free_fact(world.run, FRANCE, "checked")
    with world.ledger.read() as tx:
        version = tx.version(1)
        assert tx.quarantine() == {}
    assert version is not None and version.state is VersionState.CANDIDATE
