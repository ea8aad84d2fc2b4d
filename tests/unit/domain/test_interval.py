"""Intervals against published figures and against what is known of them in the limit."""

from __future__ import annotations

import pytest

from kbsync.domain.interval import bootstrap, paired, wilson


@pytest.mark.parametrize(
    ("successes", "samples", "low", "high"),
    # Newcombe, Statistics in Medicine 1998, table I, method 3.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_gives_the_published_intervals(successes: int, samples: int, low: float, high: float) -> None:
    assert wilson(successes, samples) == pytest.approx((low, high), abs=5e-5)


def test_an_interval_without_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="samples"):
        wilson(0, 0)
    with pytest.raises(ValueError, match="samples"):
        bootstrap([[]])


def test_a_bootstrap_is_the_same_every_time_and_holds_the_mean() -> None:
    values = [[float(i % 5)] for i in range(100)]
    low, high = bootstrap(values)
    assert (low, high) == bootstrap(values)
    assert low < 2.0 < high
    assert high - low == pytest.approx(2 * 1.96 * 2**0.5 / 10, rel=0.15)


def test_prompts_about_one_fact_are_not_independent() -> None:
    facts = [[float(i % 2)] * 4 for i in range(40)]
    apart = [[value] for cluster in facts for value in cluster]
    clustered, independent = bootstrap(facts), bootstrap(apart)
    assert clustered[1] - clustered[0] > 1.6 * (independent[1] - independent[0])


def test_a_paired_difference_is_surer_than_its_parts() -> None:
    """Two hundred facts of which both models have the same half right, but for ten that one lost."""
    lost = paired([[-1.0] if i < 10 else [0.0] for i in range(200)])
    assert lost.value == pytest.approx(-0.05)
    assert lost.high < 0
    assert lost.low > -0.1
    assert lost.samples == 200
