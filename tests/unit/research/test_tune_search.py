"""The search for a recipe on a surface whose best point is known, and the file that it writes."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from kbsync.domain.recipe import Recipe
from kbsync.research.tune_search import Search, Space, Trial, windows

START = Recipe(name="start", layers=(9,), steps=12, seed=3)


SPACE = Space(layers=((1, 2), (3, 4), (5, 6)), learning_rates=(0.1, 0.3), clamps=(0.75, 0.5))


def surface(best: Recipe, unsound: float = math.inf) -> tuple[Callable[[Recipe], Trial], list[Recipe]]:
    """A score that falls with the distance from ``best`` in every coordinate; a λ below ``unsound`` ruins the text."""

    def measure(recipe: Recipe) -> Trial:
        measured.append(recipe)
        far = abs(math.log10(recipe.covariance_weight / best.covariance_weight)) / 10
        far += 0.1 * (recipe.layers != best.layers)
        far += abs(recipe.learning_rate - best.learning_rate) + abs(recipe.clamp - best.clamp)
        figures = {"score": max(0.0, 1 - far), "efficacy_strict": 0.5}
        return Trial(recipe, figures, recipe.covariance_weight >= unsound or math.isinf(unsound))

    measured: list[Recipe] = []
    return measure, measured


def test_it_finds_the_best_point_and_measures_no_recipe_twice() -> None:
    best = replace(START, layers=(3, 4), covariance_weight=47.434165, learning_rate=0.3, clamp=0.5)
    measure, measured = surface(best)
    found = Search(measure).run(START, SPACE)
    assert found.recipe == best
    assert len({r.fingerprint for r in measured}) == len(measured) <= SPACE.trials
    assert all((r.name, r.steps, r.seed) == ("start", 12, 3) for r in measured)


def test_a_recipe_that_ruins_the_text_comes_last() -> None:
    best = replace(START, layers=(1, 2), covariance_weight=1.5, learning_rate=0.1, clamp=0.75)
    measure, _ = surface(best, unsound=100.0)
    assert Search(measure).run(START, SPACE).recipe.covariance_weight == 150.0


def test_where_all_ruin_it_the_best_of_them_is_told_all_the_same() -> None:
    measure, _ = surface(START, unsound=1e9)
    found = Search(measure).run(START, SPACE)
    assert not found.sound


def test_of_equal_scores_the_strict_efficacy_decides() -> None:
    def measure(recipe: Recipe) -> Trial:
        return Trial(recipe, {"score": 0.8, "efficacy_strict": float(recipe.clamp == 0.5)}, True)

    assert Search(measure).run(START, SPACE).recipe.clamp == 0.5


@pytest.mark.parametrize(("count", "wanted"), [(30, (5, 9)), (18, (3, 7)), (4, (1, 2)), (2, (0, 0))])
def test_windows_lie_in_the_model(count: int, wanted: tuple[int, int]) -> None:
    found = windows(count)
    assert (found[0][0], found[0][-1]) == wanted
    assert len(set(found)) == len(found)
    assert all(0 <= layer < count for layers in found for layer in layers)
