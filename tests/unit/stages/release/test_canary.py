"""Canaries on the current version: asked again, and current goes back when they fall."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import WrongWeights
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.release.canary import CanaryResult
from kbsync.stages.session import writer
from tests.support.stage_world import TTL, World


def sing(world: World) -> CanaryResult:
    with writer(world.run, TTL) as held:
        return world.stages.canary(held)


def test_the_base_has_no_canaries(world: World) -> None:
    assert sing(world).asked == 0


def test_canaries_that_sing_change_nothing(world: World) -> None:
    world.sync()
    result = sing(world)
    assert (result.version, result.asked, result.lost, result.rolled_back_to) == (1, 5, (), None)
    assert world.current == 1


@pytest.mark.slow
def test_current_goes_back_when_canaries_fall_and_a_sync_does_not_promote_it_again(world: World) -> None:
    world.sync()
    world.base.damage = {"The capital of France is": " Bonn"}
    result = sing(world)
    assert result.lost == ("The capital of France is",)
    assert (result.rolled_back_to, world.current) == (0, 0)
    assert result.reason == "1 of 5 canaries are lost, 10% may be"
    with world.ledger.read() as tx:
        assert [e.kind for e in tx.audit()][-2:] == ["canary", "rollback"]
    assert world.sync().outcome is CycleOutcome.HELD


def test_a_version_that_cannot_be_read_any_more_is_left(world: World) -> None:
    world.sync()
    world.store.damaged |= set(world.store.hashes())
    result = sing(world)
    assert result.rolled_back_to == 0 and "can't be asked" in result.reason
    assert world.current == 0


def test_a_fault_of_the_program_rolls_nothing_back(world: World) -> None:
    world.sync()
    world.base.model.away = True
    with pytest.raises(WrongWeights):
        sing(world)
    assert world.current == 1
