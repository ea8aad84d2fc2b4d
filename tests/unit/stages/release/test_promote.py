"""``current`` moves to stored weights that passed the gate, or by a person who says why."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import GateRefused, LeaseLost, NotFound
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.release.promote import current_number, current_version, promote, rollback
from kbsync.stages.session import writer
from tests.support.stage_world import TTL, World


@pytest.mark.slow
def test_a_rolled_back_version_is_not_promoted_again_by_a_sync(world: World) -> None:
    world.sync()
    with writer(world.run, TTL) as held:
        assert rollback(held, world.store).after == 0
    result = world.sync()
    assert result.outcome is CycleOutcome.HELD
    assert "rolled-back" in result.reason
    assert world.current == 0
    with writer(world.run, TTL) as held:
        assert promote(held, world.store, 1).after == 1
        assert promote(held, world.store, 1).already
        with pytest.raises(NotFound):
            promote(held, world.store, 7)
    assert world.sync().outcome is CycleOutcome.NOTHING


def test_a_refused_version_needs_a_person_and_a_reason(world: World) -> None:
    world.base.damage = {"The capital of France is": " Bonn"}
    world.sync()
    with writer(world.run, TTL) as held:
        with pytest.raises(GateRefused, match="specificity"):
            promote(held, world.store, 1)
        assert promote(held, world.store, 1, override="checked by hand").after == 1
    with world.ledger.read() as tx:
        assert tx.audit()[-1].body["override"] == "checked by hand"


def test_a_writer_that_stalled_past_its_lease_cannot_release(world: World) -> None:
    world.sync()
    with writer(world.run, TTL) as stalled:
        world.pass_time(TTL * 2)
        with writer(world.run, TTL) as other, pytest.raises(LeaseLost):
            assert other.lease.token > stalled.lease.token
            rollback(stalled, world.store)
    assert world.current == 1


@pytest.mark.slow
def test_rollback_goes_to_the_predecessor_or_to_a_version_that_was_promoted(world: World) -> None:
    world.sync()
    world.sync_with_new_government()
    with writer(world.run, TTL) as held:
        back = rollback(held, world.store)
        assert (back.before, back.after, back.already, world.current) == (2, 1, False, 1)
        assert rollback(held, world.store, 1).already
        assert rollback(held, world.store, 2).after == 2
        assert rollback(held, world.store, 0).after == 0
        with pytest.raises(NotFound, match="nothing before it"):
            rollback(held, world.store)
    with world.ledger.read() as tx:
        assert [event.body["after"] for event in tx.audit(kind="rollback")] == [1, 2, 0]


@pytest.mark.slow
def test_current_moves_only_to_stored_weights_that_were_promoted(world: World) -> None:
    world.sync()
    world.base.damage = {"The capital of France is": " Bonn"}
    assert world.sync_with_new_government().outcome is CycleOutcome.REFUSED
    with writer(world.run, TTL) as held:
        with pytest.raises(NotFound, match="never promoted"):
            rollback(held, world.store, 2)
        rollback(held, world.store)
        world.store.versions.clear()
        with pytest.raises(NotFound, match="not stored any more"):
            promote(held, world.store, 1)
    assert world.current == 0


def test_the_current_version_is_none_while_the_base_is_in_use(world: World) -> None:
    with world.ledger.read() as tx:
        assert (current_number(tx), current_version(tx)) == (0, None)
    world.sync()
    with world.ledger.read() as tx:
        version = current_version(tx)
    assert version is not None and version.number == world.current == 1
