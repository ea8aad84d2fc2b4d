"""Settings reach the stages in the same way, whoever calls them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.bisect import SearchLimits
from kbsync.stages.binding import Stages
from kbsync.stages.cycle import CycleOutcome, sync
from kbsync.stages.pull.pull import pull
from kbsync.stages.session import writer
from tests.support.stage_world import RELATIONS, TTL, World, WorldSite


def test_probing_asks_about_a_group_or_all_that_have_no_verdict(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    with writer(world.run, TTL) as held:
        assert world.stages.probe(held, group=RELATIONS[:1]).asked == 3
        assert world.stages.probe(held).asked == 2
        assert world.stages.probe(held).asked == 0


def test_a_measurement_has_the_sites_texts_and_the_settings_sizes(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    site, settings = WorldSite(world, held_out=("one",), neutral=("two",)), replace(world.settings, answer_tokens=3)
    measurement = Stages(site, settings).measurement(world.run)
    assert (measurement.held_out, measurement.neutral, measurement.answer_tokens) == (("one",), ("two",), 3)
    assert (measurement.base, measurement.size) == (world.base, settings.evaluation)
    assert list(measurement.facts.watched) == list(world.facts.watched)


@pytest.mark.slow
@pytest.mark.parametrize("search", [None, SearchLimits()], ids=["no search", "search"])
def test_nobody_searches_for_culprits_where_the_settings_want_no_search(
    world: World, search: SearchLimits | None
) -> None:
    world.base.damage = {"The capital of France is": " Bonn"}
    stages = Stages(WorldSite(world), replace(world.settings, search=search))
    with writer(world.run, TTL) as held:
        result = sync(held, stages)
    assert result.outcome is CycleOutcome.REFUSED
    assert ("not single facts are to blame" in result.reason) == (search is not None)
    assert (world.editor.calls > 1) == (search is not None)
