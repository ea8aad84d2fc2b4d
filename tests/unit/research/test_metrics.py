"""The scores against examples computed by hand."""

from __future__ import annotations

import math

import pytest

from kbsync.research.metrics import PairScore, contrast, harmonic_mean, mean_of, summarise, token_accuracy


def score(nll: float, *hits: bool) -> PairScore:
    return PairScore(nll, hits or (False,))


def test_contrast_by_hand() -> None:
    wanted, other = score(math.log(2), True, True), score(math.log(4), False)
    assert contrast(wanted, other) == pytest.approx({"success": 1.0, "magnitude": 0.25, "strict": 1.0})
    assert contrast(other, wanted) == pytest.approx({"success": 0.0, "magnitude": -0.25, "strict": 0.0})


def test_a_tie_is_no_success_and_one_missed_token_is_not_strict() -> None:
    assert contrast(score(1.0, True, False), score(1.0))["success"] == 0.0
    assert contrast(score(0.5, True, False), score(1.0))["strict"] == 0.0


def test_zsre_accuracy_is_the_share_of_tokens() -> None:
    assert token_accuracy(score(9.0, True, False, True, False, False)) == pytest.approx(0.4)


def test_a_case_averages_its_prompts() -> None:
    prompts = [{"success": 1.0, "strict": 0.0}, {"success": 0.0, "strict": 0.0}, {"success": 0.0, "strict": 1.0}]
    assert mean_of(prompts, "efficacy") == pytest.approx({"efficacy_success": 1 / 3, "efficacy_strict": 1 / 3})
    assert mean_of([], "efficacy") == {}


def test_harmonic_mean_by_hand() -> None:
    assert harmonic_mean([0.989, 0.886, 0.737]) == pytest.approx(0.858, abs=5e-4)  # the paper's 85.8 of GPT-J
    assert harmonic_mean([1.0, 1.0, 0.0]) == 0.0


def test_summary_averages_cases_not_prompts_and_scores_the_means() -> None:
    cases = [{"a": 1.0, "b": 0.5}, {"a": 0.0, "b": 0.5}, {"a": 1.0}]
    found = summarise(cases, {"score": ("a", "b"), "other": ("a", "missing")}, seed=3)
    assert found["a"].value == pytest.approx(2 / 3)
    assert found["b"].value == 0.5
    assert (found["a"].cases, found["b"].cases, found["score"].cases) == (3, 2, 2)
    assert found["score"].value == pytest.approx(2 / (1 / (2 / 3) + 2))
    assert "other" not in found


@pytest.mark.slow
def test_bootstrap_intervals_hold_the_mean_and_are_those_of_the_binomial() -> None:
    cases = [{"a": float(n < 80), "b": 1.0} for n in range(100)]
    found = summarise(cases, {"score": ("a", "b")}, seed=0, resamples=4000)
    standard_error = math.sqrt(0.8 * 0.2 / 100)
    assert found["a"].low == pytest.approx(0.8 - 1.96 * standard_error, abs=0.012)
    assert found["a"].high == pytest.approx(0.8 + 1.96 * standard_error, abs=0.012)
    assert (found["b"].low, found["b"].high) == (1.0, 1.0)
    assert found["score"].low == pytest.approx(harmonic_mean([found["a"].low, 1.0]))
    assert found == summarise(cases, {"score": ("a", "b")}, seed=0, resamples=4000)


def test_a_score_with_a_part_that_is_nought_is_nought() -> None:
    found = summarise([{"a": 0.0, "b": 1.0}] * 4, {"score": ("a", "b")})
    assert (found["score"].value, found["score"].low, found["score"].high) == (0.0, 0.0, 0.0)
