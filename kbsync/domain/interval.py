"""How sure a measured figure is: intervals of shares, of means, and of paired differences (pure functions)."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

Z95 = 1.959963984540054
RESAMPLES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """The mean difference on the same prompts: ``value`` with the bounds of its 95 % interval, over ``samples``
    prompts."""

    value: float
    low: float
    high: float
    samples: int


def wilson(successes: int, samples: int) -> tuple[float, float]:
    """The 95 % score interval of a share (Wilson, JASA 1927). Raises ``ValueError`` without samples."""
    if samples < 1:
        raise ValueError("an interval needs samples")
    share, squared = successes / samples, Z95 * Z95
    centre = share + squared / (2 * samples)
    half = Z95 * math.sqrt(share * (1 - share) / samples + squared / (4 * samples * samples))
    low, high = ((centre + sign * half) / (1 + squared / samples) for sign in (-1, 1))
    return max(0.0, low), min(1.0, high)


def bootstrap(clusters: Sequence[Sequence[float]], *, seed: int = 0) -> tuple[float, float]:
    """The 95 % percentile interval of the mean over all values (Efron and Tibshirani, 1993, chapter 13).

    Whole clusters are drawn anew: prompts about one fact are no independent samples. Raises ``ValueError`` without any
    value.
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


def paired(differences: Sequence[Sequence[float]], *, seed: int = 0) -> PairedDifference:
    """The mean of per-prompt differences, clustered by fact, with its bootstrap interval."""
    values = [value for cluster in differences for value in cluster]
    low, high = bootstrap(differences, seed=seed)
    return PairedDifference(value=math.fsum(values) / len(values), low=low, high=high, samples=len(values))
