"""95 % intervals of shares, of means, and of paired differences (pure functions)."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054
"""The 97.5 % quantile of the standard normal distribution."""
RESAMPLES = 1000
"""Samples that a bootstrap draws."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The mean difference of two models on the same prompts."""

    value: float
    low: float
    """Lower bound of the 95 % interval."""
    high: float
    """Upper bound of the 95 % interval."""
    samples: int
    """The number of prompts."""


def wilson(successes: int, samples: int) -> tuple[float, float]:
    """Compute the 95 % score interval of a share (Wilson, JASA 1927).

    Raises:
        ValueError: There are no samples.
    """
    if samples < 1:
        raise ValueError("an interval needs samples")
    share, squared = successes / samples, Z95 * Z95
    centre = share + squared / (2 * samples)
    half = Z95 * math.sqrt(share * (1 - share) / samples + squared / (4 * samples * samples))
    low, high = ((centre + sign * half) / (1 + squared / samples) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def bootstrap(clusters: Sequence[Sequence[float]], *, seed: int = 0) -> tuple[float, float]:
    """Compute the 95 % percentile interval of the mean over all values (Efron and Tibshirani, 1993, chapter 13).

    Args:
        clusters: Values that belong together, such as those of the prompts about one fact. Whole clusters are drawn,
            since their values are not independent.
        seed: Of the random numbers; the same seed gives the same interval.

    Raises:
        ValueError: There are no values.
    """
    sums = [(math.fsum(cluster), len(cluster)) for cluster in clusters if cluster]
    if not sums:
        raise ValueError("an interval needs samples")
    if len(set(sums)) == 1:
        mean = sums[0][0] / sums[0][1]
        return mean, mean
    source = random.Random(seed)
    totals, counts, places = [t for t, _ in sums], [n for _, n in sums], range(len(sums))
    means = []
    for _ in range(RESAMPLES):
        drawn = source.choices(places, k=len(sums))
        means.append(sum(map(totals.__getitem__, drawn)) / sum(map(counts.__getitem__, drawn)))
    means.sort()
    tail = round(0.025 * RESAMPLES)
    return means[tail], means[-1 - tail]


def paired(differences: Sequence[Sequence[float]]) -> PairedDifference:
    """Average per-prompt differences, clustered by fact, and give the mean's bootstrap interval.

    Raises:
        ValueError: There are no differences.
    """
    values = [value for cluster in differences for value in cluster]
    low, high = bootstrap(differences)
    return PairedDifference(value=math.fsum(values) / len(values), low=low, high=high, samples=len(values))
