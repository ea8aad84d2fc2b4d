"""CounterFact's and zsRE's scores (Meng et al., ICLR 2023, section 5.2), as pure functions.

The figures of prompts are averaged within a case, then over cases. The groups of prompts have the paper's names: the
edited prompt gives ``efficacy``, paraphrases give ``generalization``, neighbours give ``specificity``.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from kbsync.ports import PairScore

GROUPS = ("efficacy", "generalization", "specificity")


def contrast(wanted: PairScore, other: PairScore) -> dict[str, float]:
    """CounterFact's figures of one prompt.

    Args:
        wanted: Score of the answer that must be the likelier one: the new target after the edited prompt and
            paraphrases, the true one after neighbours.
        other: Score of the other answer.

    Returns:
        ``success``: whether ``wanted`` is strictly likelier. ``magnitude``: by how much, in exp(−NLL), a geometric mean
        probability per token. ``strict``: whether greedy decoding gives ``wanted``.
    """
    return {
        "success": float(wanted.nll < other.nll),
        "magnitude": math.exp(-wanted.nll) - math.exp(-other.nll),
        "strict": float(wanted.strict),
    }


def token_accuracy(score: PairScore) -> float:
    """zsRE's figure of one prompt: the share of the answer's tokens that are the likeliest next token."""
    return fmean(score.hits)


def mean_of(figures: Sequence[Mapping[str, float]], prefix: str) -> dict[str, float]:
    """Average over one group's prompts within a case; keys become ``prefix_name``. Without prompts: no figures."""
    names = figures[0] if figures else {}
    return {f"{prefix}_{name}": fmean(f[name] for f in figures) for name in names}


def harmonic_mean(values: Iterable[float]) -> float:
    """The harmonic mean; 0 if any value is 0 or below."""
    numbers = list(values)
    return len(numbers) / sum(1 / v for v in numbers) if min(numbers) > 0 else 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over cases with the bounds of its bootstrap interval (percentile method)."""

    value: float
    low: float
    high: float
    cases: int


def summarise(
    cases: Sequence[Mapping[str, float]],
    scores: Mapping[str, Sequence[str]],
    *,
    seed: int = 0,
    resamples: int = 1000,
    confidence: float = 0.95,
) -> dict[str, Estimate]:
    """Means and scores over cases, with bootstrap intervals.

    Whole cases are resampled, so the intervals of a score and of its parts rest on the same draws.

    Args:
        cases: The figures of each case, by name.
        scores: For each score, the figures whose means go into its harmonic mean. A score is left out if one of them
            was never measured.
        seed: Draws the resamples.
        resamples: Their number.
        confidence: Share of the resampled means that lie within the bounds.

    Returns:
        By name, every figure's mean over the cases that have it, and every score.

    Raises:
        ValueError: There is no case.
    """
    if not cases:
        raise ValueError("no case was measured")
    names = sorted({name for case in cases for name in case})
    table = np.array([[case.get(name, math.nan) for name in names] for case in cases])
    means = dict(zip(names, _means(table), strict=True))
    drawn = _resampled_means(table, np.random.default_rng(seed), resamples)
    draws = {name: drawn[:, column] for column, name in enumerate(names)}
    counts = {name: int(n) for name, n in zip(names, (~np.isnan(table)).sum(axis=0), strict=True)}
    for score, parts in scores.items():
        if set(parts) <= set(means):
            means[score] = harmonic_mean(means[part] for part in parts)
            with np.errstate(divide="ignore"):
                draws[score] = len(parts) / np.sum([1 / draws[part] for part in parts], axis=0)
            counts[score] = min(counts[part] for part in parts)
    tail = (1 - confidence) / 2
    bounds = {name: np.nanquantile(draw, [tail, 1 - tail]) for name, draw in draws.items()}
    return {n: Estimate(float(means[n]), float(bounds[n][0]), float(bounds[n][1]), counts[n]) for n in means}


def _means(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of the columns of [cases, figures], NaN left out; a column of nothing but NaN gives NaN."""
    present = ~np.isnan(table)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(present, table, 0.0).sum(axis=0) / present.sum(axis=0))


def _resampled_means(table: NDArray[np.float64], random: np.random.Generator, resamples: int) -> NDArray[np.float64]:
    """[resamples, figures]: column means of samples drawn with replacement, one sample in memory at a time."""
    count = len(table)
    return np.stack([_means(table[random.integers(count, size=count)]) for _ in range(resamples)])
