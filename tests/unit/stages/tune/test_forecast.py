"""What a search is foretold to do, and that it does the same again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Perplexity
from kbsync.stages.tune.extent import EXTENTS
from kbsync.stages.tune.forecast import forecast, more_time, told
from tests.support.stage_world import World
from tests.support.tuning_world import tuning_world

BUDGET = timedelta(minutes=20)


@pytest.fixture
def slow(ledger: SqlLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A base that takes a second for ten tokens."""
    world = tuning_world(ledger, tmp_path)

    def read(texts: list[str], **_: object) -> Perplexity:
        tokens = sum(len(text.split()) for text in texts)
        world.clock.sleep(tokens / 10)
        return Perplexity(20.0, tokens)

    monkeypatch.setattr(world.base.model, "perplexity", read)
    return world


def test_the_speed_is_measured_once(slow: World) -> None:
    first = forecast(slow.run, slow.base, slow.artifacts, BUDGET)
    assert first.seconds_per_unit == pytest.approx(1500 / 10)
    then = slow.clock.time
    assert forecast(slow.run, slow.base, slow.artifacts, BUDGET) == first
    assert slow.clock.time == then
    forecast(slow.run, slow.base, None, BUDGET)
    assert slow.clock.time > then, "nothing is kept of a rehearsal"


def test_units_stand_in_for_a_budget(slow: World) -> None:
    estimate = forecast(slow.run, slow.base, slow.artifacts, BUDGET, units=EXTENTS[4].units)
    assert estimate.extent == EXTENTS[4]
    assert not estimate.within(BUDGET)
    assert told(estimate, BUDGET)["over_budget"]


def test_more_time_is_told_with_the_command(slow: World) -> None:
    least = forecast(slow.run, slow.base, slow.artifacts, BUDGET, units=1)
    assert "recipe tune --budget" in more_time(least)
    most = forecast(slow.run, slow.base, slow.artifacts, BUDGET, units=EXTENTS[-1].units)
    assert more_time(most) == "there is no larger search"
