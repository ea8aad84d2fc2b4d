"""How many facts a recipe should hold."""

from __future__ import annotations

from kbsync.stages.tune.capacity import foretold_capacity
from tests.unit.stages.tune.test_search import START, trial


def test_a_line_through_the_growth_foretells_its_bound() -> None:
    assert foretold_capacity([trial(START, 10, growth=0.01), trial(START, 20, growth=0.02)], 0.05) == 50


def test_nothing_is_foretold_far_beyond_what_was_written() -> None:
    assert foretold_capacity([trial(START, 20, growth=0.0001)], 0.05) == 80
    assert foretold_capacity([trial(START, 20, growth=-0.01)], None) == 80


def test_a_trial_that_missed_a_bound_caps_it() -> None:
    assert foretold_capacity([trial(START, 10), trial(START, 20, short=0.1)], 0.05) == 19


def test_without_a_sound_trial_there_is_none() -> None:
    assert foretold_capacity([trial(START, 10, short=0.1)], 0.05) == 0
