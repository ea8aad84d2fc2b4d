"""Refusals in a row, and what ends the row."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.next_build import Refusals
from kbsync.stages.cycle import CycleOutcome, CycleResult
from kbsync.stages.release.refusals import ENDS_OF_A_ROW, refusals_in_a_row
from tests.support.crowd_world import SEAT, prompt, relation
from tests.support.stage_world import World, statement


def refused_again(world: World, day: int) -> CycleResult:
    """One more day, one more house that the base has wrong."""
    world.pass_time(timedelta(days=1))
    extra = f"Q{9000 + day}"
    world.source.now -= timedelta(days=30)
    world.source.set_item(extra, label=f"hall {day}.", statements=[statement(extra, SEAT, "Q5000")])
    world.source.now = world.clock.time
    world.relations = (relation([*world.relations[0].subjects, extra]),)
    return world.sync()


@pytest.mark.slow
def test_refusals_in_a_row_wait_longer_and_longer(few: World) -> None:
    few.base.damage = {prompt(i): " nowhere" for i in range(10)}
    few.pause = timedelta(days=2)
    assert few.sync().outcome is CycleOutcome.REFUSED
    assert refused_again(few, 1).outcome is CycleOutcome.REFUSED
    waiting = refused_again(few, 2)
    assert waiting.outcome is CycleOutcome.HELD
    assert "2 refusals in a row" in waiting.reason
    few.pass_time(timedelta(days=1))
    assert few.sync().outcome is CycleOutcome.REFUSED
    few.pass_time(timedelta(days=2))
    assert "3 refusals in a row" in refused_again(few, 3).reason
    few.base.damage = {}
    few.pass_time(timedelta(days=1))
    assert few.sync().outcome is CycleOutcome.PROMOTED
    assert few.current > 0


def test_a_row_of_refusals_ends_with_a_promotion_or_a_freed_fact(world: World) -> None:
    def happens(kind: str) -> Refusals:
        world.pass_time(timedelta(hours=1))
        with world.ledger.write() as tx:
            tx.append_audit(kind, "test", {}, world.clock.now())
            return refusals_in_a_row(tx)

    with world.ledger.read() as tx:
        assert refusals_in_a_row(tx) == Refusals(in_a_row=0, newest_at=None)
    for end in ENDS_OF_A_ROW:
        assert happens("refuse").in_a_row == 1
        assert happens("refuse") == Refusals(in_a_row=2, newest_at=world.clock.now())
        assert happens("pull").in_a_row == 2, "other events end no row"
        assert happens(end) == Refusals(in_a_row=0, newest_at=None)
