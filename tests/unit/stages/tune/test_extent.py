"""How much a search does: by units of work."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.stages.tune.extent import EXTENTS, Extent, Round, estimate_for, extent_for, larger


def test_drafts_come_first_and_a_quarter_is_written_as_a_version() -> None:
    assert Extent(8, 32).rounds == (Round(8, 16, is_draft=True), Round(4, 32))
    assert Extent(3, 12).rounds == (Round(3, 8, is_draft=True), Round(2, 12))
    assert Extent(1, 8).rounds == (Round(1, 8),)


def test_a_draft_costs_less() -> None:
    assert Round(4, 16, is_draft=True).units < Round(4, 16).units / 1.5


def test_extents_grow_in_work_and_in_trials() -> None:
    assert [e.units for e in EXTENTS] == sorted({e.units for e in EXTENTS})
    assert [e.trials for e in EXTENTS] == sorted(e.trials for e in EXTENTS)


@pytest.mark.parametrize("extent", EXTENTS)
def test_an_extent_s_own_units_give_it_again(extent: Extent) -> None:
    assert extent_for(extent.units) == extent
    assert extent_for(extent.units + 0.5) == extent


def test_too_little_work_gives_the_least() -> None:
    assert extent_for(0) == EXTENTS[0]
    estimate = estimate_for(timedelta(seconds=1), 1.0)
    assert estimate.extent == EXTENTS[0]
    assert not estimate.within(timedelta(seconds=1))


def test_the_next_larger_one() -> None:
    assert larger(EXTENTS[0]) == EXTENTS[1]
    assert larger(EXTENTS[-1]) is None


def test_a_slower_machine_does_less_in_the_same_time() -> None:
    budget = timedelta(minutes=20)
    fast, slow = estimate_for(budget, 0.001), estimate_for(budget, 0.01)
    assert slow.extent.units < fast.extent.units
    assert fast.within(budget) and slow.within(budget)
