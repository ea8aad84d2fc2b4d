"""Which recipes are tried and which one is best."""

from __future__ import annotations

from dataclasses import replace

from kbsync.domain.recipe import Recipe
from kbsync.ports import LayerTrace
from kbsync.stages.tune.extent import Extent
from kbsync.stages.tune.search import (
    FORCES,
    SHALLOW,
    SHALLOW_FORCES,
    Search,
    Trial,
    chosen,
    draft,
    recipes,
    windows,
)

START = Recipe(name="start", layers=(0,), phrasings="all", refine_epochs=7, refine_frames=True)


def trace(
    layers: int = 18, suggested: tuple[int, ...] = (2, 3, 4, 5), *, bounded: bool = False, key_width: int = 2048
) -> LayerTrace:
    return LayerTrace(facts=10, layers=layers, suggested=suggested, bounded=bounded, key_width=key_width)


def trial(recipe: Recipe, facts: int = 8, score: float = 0.5, short: float = 0.0, growth: float = 0.0) -> Trial:
    return Trial(recipe=recipe, facts=facts, score=score, short=short, beyond_chance=(), growth=growth)


def test_windows_are_the_lower_half_the_trace_s_and_an_early_run() -> None:
    assert windows(trace())[:3] == (tuple(range(1, 10)), (2, 3, 4, 5), (3, 4, 5, 6, 7))
    assert windows(trace(4, (1, 2)))[:2] == ((0, 1), (1, 2)), "few layers: their lower half"


def test_a_model_with_wide_keys_begins_with_the_run_of_few_layers() -> None:
    wide = windows(trace(28, (2, 3, 4), key_width=8960))
    assert wide == ((5, 6, 7, 8, 9), (2, 3, 4), tuple(range(1, 15)))
    assert set(windows(trace(28, (2, 3, 4)))) == set(wide), "all are tried in either case"


def test_no_window_holds_the_last_layer() -> None:
    for layers in range(1, 40):
        suggested = tuple(sorted({max(0, layers - 2), layers - 1}))
        for window in windows(trace(layers, suggested)):
            assert window and window == tuple(sorted(set(window)))
            assert max(window) <= max(0, layers - 2)


def test_every_recipe_is_offered_once_and_the_likeliest_first() -> None:
    offered = list(recipes(START, trace()))
    assert len({r.fingerprint for r in offered}) == len(offered)
    first, second, third = offered[:3]
    assert (first.covariance_weight, first.layers) == (FORCES[0].weight, windows(trace())[0])
    assert (second.covariance_weight, second.layers) == (FORCES[0].weight, windows(trace())[1])
    assert (third.covariance_weight, third.layers) == (FORCES[1].weight, windows(trace())[0])
    assert not any(r.learning_rate == offered[-1].learning_rate for r in offered[:12]), "wide steps come last"


def test_a_model_of_a_few_layers_gets_one_phrasing_and_wide_steps_first() -> None:
    first, *others = recipes(START, trace(SHALLOW, (1, 2)))
    assert (first.phrasings, first.refine_epochs, first.clamp, first.weight_decay) == ("first", 0, 8.0, 0.0)
    assert first.covariance_weight == SHALLOW_FORCES[0].weight
    assert any(r.phrasings == "all" and r.refine_epochs for r in others)


def test_both_one_phrasing_and_all_are_tried_of_any_model() -> None:
    for layers in (4, 18):
        assert {r.phrasings for r in list(recipes(START, trace(layers)))[:12]} == {"first", "all"}


def test_only_the_best_drafts_are_refined() -> None:
    """A recipe whose draft is worst is never refined, and the one whose draft is best is."""
    search = best_at(300.0)
    offered = list(recipes(START, trace()))[:4]
    found = search.run(offered, Extent(4, 16))
    drafts = [t for t in search.trials if t.facts == 8]
    assert [t.recipe for t in drafts] == [draft(r) for r in offered]
    refined, twin = [t for t in search.trials if t not in drafts]
    assert found == refined and refined.recipe in offered
    assert (refined.recipe.covariance_weight, twin.recipe.covariance_weight) == (300.0, 3000.0)


def test_what_is_refined_may_do_better_with_a_larger_weight_than_as_a_draft() -> None:
    def measure(recipe: Recipe, facts: int) -> Trial:
        best = 3000.0 if recipe.refine_epochs else 300.0
        ratio = max(recipe.covariance_weight / best, best / recipe.covariance_weight)
        return trial(recipe, facts, score=1 / ratio)

    found = Search(measure, facts=100).run(list(recipes(START, trace())), Extent(4, 16))
    assert found.recipe.covariance_weight == 3000.0 and found.recipe.refine_epochs


def test_a_bounded_model_gets_a_smaller_step() -> None:
    plain, bounded = next(recipes(START, trace())), next(recipes(START, trace(bounded=True)))
    assert bounded.learning_rate < plain.learning_rate
    assert bounded.clamp < plain.clamp


def test_bounds_come_before_the_score_and_gentleness_after_it() -> None:
    good, better = trial(START, score=0.9), trial(START, score=0.95)
    assert better.rank > good.rank
    assert good.rank > trial(START, score=0.99, short=0.1).rank
    assert trial(START, score=0.9, growth=0.01).rank > trial(START, score=0.903, growth=0.03).rank


def test_of_trials_that_can_not_be_told_apart_the_one_with_the_largest_weight_is_chosen() -> None:
    light, heavy = (trial(replace(START, covariance_weight=w), score=s) for w, s in ((300.0, 0.965), (3000.0, 0.946)))
    assert chosen([light, heavy]) == chosen([heavy, light]) == heavy
    assert chosen([light, trial(heavy.recipe, score=0.93)]) == light, "it is worse"
    assert chosen([light, trial(heavy.recipe, score=0.96, short=0.1)]) == light, "it misses a bound"
    broken = replace(heavy, broken="not finite")
    assert chosen([light, broken]) == light and chosen([broken]) == broken


def best_at(weight: float) -> Search:
    """Recipes are the better the nearer their λ is to ``weight``."""

    def measure(recipe: Recipe, facts: int) -> Trial:
        ratio = max(recipe.covariance_weight / weight, weight / recipe.covariance_weight)
        return trial(recipe, facts, score=1 / ratio)

    return Search(measure, facts=100)


def test_the_best_recipe_is_found_and_refined() -> None:
    search = best_at(30.0)
    found = search.run(list(recipes(START, trace())), Extent(12, 32))
    assert found.recipe.covariance_weight == 30.0
    assert {t.recipe.covariance_weight for t in search.trials[-2:]} == {94.868, 9.487}
    assert [t.facts for t in search.trials] == sorted(t.facts for t in search.trials)


def test_no_trial_is_made_twice() -> None:
    search = best_at(3000.0)
    search.run(list(recipes(START, trace())), Extent(4, 8))
    made = [(t.recipe.fingerprint, t.facts) for t in search.trials]
    assert len(made) == len(set(made)) == 6, "four drafts, and one recipe with two λ"


def test_fewer_facts_than_wanted_are_all_written() -> None:
    search = best_at(3000.0)
    search.facts = 5
    assert search.run(list(recipes(START, trace())), Extent(8, 32)).facts == 5
