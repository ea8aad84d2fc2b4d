"""What a plan says that comes near a recipe's capacity."""

from __future__ import annotations

from kbsync.domain.capacity import capacity_warning


def test_a_plan_that_comes_near_the_recipe_s_capacity_is_told_so() -> None:
    assert capacity_warning(500, 0) == "", "not measured"
    assert capacity_warning(79, 100) == ""
    assert capacity_warning(80, 100) == "80 facts are 80% of the 100 up to which the recipe was measured to hold"
    assert capacity_warning(100, 100).startswith("100 facts are 100%")
    assert capacity_warning(101, 100) == "101 facts are more than the 100 up to which the recipe was measured to hold"
