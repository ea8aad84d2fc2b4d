"""Edit against context: what an evaluation's metrics say of it, and the table that is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.gate import Metric
from kbsync.views.html import environment
from kbsync.views.ways import compared_ways

TOLD = Metric(name="with_context", value=0.95, base=0.7, samples=40)
ALONE = Metric(name="without_context", value=0.9, base=0.05, samples=40, low=0.8, high=0.97)


@pytest.mark.parametrize(
    ("context", "said"),
    [
        (0.7, "the edit answers more than the fact in the context"),
        (0.85, "too few to tell"),
        (0.99, "the fact in the context answers more than the edit"),
    ],
)
def test_a_way_is_better_only_beyond_the_interval(context: float, said: str) -> None:
    view = compared_ways([replace(TOLD, base=context), ALONE])
    assert view is not None and said in view.finding
    assert (view.base, view.context, view.edit, view.both, view.samples) == (0.05, context, 0.9, 0.95, 40)


def test_what_was_not_asked_is_not_shown() -> None:
    macros = environment("kbsync.views").get_template("_macros.html").module
    assert compared_ways([TOLD]) is None and compared_ways([]) is None
    assert macros.ways(None, 2).strip() == ""  # type: ignore[attr-defined]


def test_the_table_has_all_four_shares() -> None:
    macros = environment("kbsync.views").get_template("_macros.html").module
    shown = macros.ways(compared_ways([TOLD, ALONE]), 2)  # type: ignore[attr-defined]
    assert [share in shown for share in (">0.05<", ">0.7<", ">0.9<", ">0.95<", "same 40 questions", "version 2")] == [
        True
    ] * 6
