"""What the figures of a trial say by the gate's bounds."""

from __future__ import annotations

import pytest

from kbsync.domain.gate import Action, Metric, Threshold
from kbsync.stages.tune.trials import judged
from tests.unit.stages.tune.test_search import START

POLICY = (
    Threshold(metric="efficacy", at_least=0.9, min_samples=50),
    Threshold(metric="specificity", at_least=0.9),
    Threshold(metric="perplexity", max_growth=0.05),
    Threshold(metric="norm_growth", at_most=0.5),
    Threshold(metric="generalization_question", at_least=0.7, action=Action.WARN),
)


def metric(name: str, value: float, base: float = 0.0, low: float | None = None, high: float | None = None) -> Metric:
    return Metric(name=name, value=value, base=base, samples=10, low=low, high=high)


def test_the_score_is_the_harmonic_mean_of_three() -> None:
    metrics = [metric("efficacy", 1.0), metric("generalization", 0.5), metric("specificity", 1.0)]
    trial = judged(START, 8, metrics, POLICY, "")
    assert trial.score == pytest.approx(0.75)
    assert (trial.short, trial.beyond_chance) == (0, ())


def test_a_relation_without_held_out_phrasings_is_scored_by_the_others() -> None:
    assert judged(START, 8, [metric("efficacy", 0.5), metric("specificity", 0.5)], POLICY, "").score == 0.5


def test_a_miss_that_chance_explains_costs_rank_and_refuses_nothing() -> None:
    trial = judged(START, 8, [metric("efficacy", 0.8, low=0.5, high=0.95)], POLICY, "")
    assert trial.short == pytest.approx(0.1)
    assert trial.beyond_chance == ()


def test_a_miss_beyond_chance_is_told_with_its_size() -> None:
    trial = judged(START, 8, [metric("efficacy", 0.4, low=0.2, high=0.7)], POLICY, "")
    assert trial.beyond_chance == ("efficacy is 0.4 (n=10), demanded: at least 0.9, 0.5 short",)


def test_bounds_on_growth_and_from_above() -> None:
    trial = judged(START, 8, [metric("perplexity", 22.0, base=20.0), metric("norm_growth", 0.75)], POLICY, "")
    assert trial.growth == pytest.approx(0.1)
    assert trial.short == pytest.approx(0.05 + 0.25)
    assert len(trial.beyond_chance) == 2


def test_a_bound_without_limit_does_not_outweigh_all_others() -> None:
    grown = judged(START, 8, [metric("efficacy", 0.9), metric("norm_growth", 20.0)], POLICY, "")
    useless = judged(START, 8, [metric("efficacy", 0.0), metric("norm_growth", 1.0)], POLICY, "")
    assert (grown.short, useless.short) == (pytest.approx(1.0), pytest.approx(0.9 + 0.5))
    assert grown.rank > useless.rank


def test_a_warning_is_no_bound() -> None:
    assert judged(START, 8, [metric("generalization_question", 0.0)], POLICY, "").short == 0


def test_a_broken_trial_ranks_below_all_others() -> None:
    broken = judged(START, 8, [], POLICY, "no finite numbers")
    bad = judged(START, 8, [metric("efficacy", 0.0), metric("specificity", 0.0)], POLICY, "")
    assert broken.rank < bad.rank
    assert broken.beyond_chance == ("no finite numbers",)
