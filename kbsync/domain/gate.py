"""The gate: metrics and policy in, decision and every reason out (a pure function)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kbsync.domain.interval import Paired


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measured figure of candidate and base. ``samples`` is the number of prompts (or tokens) behind it.

    ``low`` and ``high`` bound the value's 95 % interval (Wilson where each fact is asked once, else a bootstrap over
    facts); ``previous`` is the figure of the version before, on those of the prompts that it was asked. ``against_base``
    and ``against_previous``: the mean difference prompt by prompt. None: not measured.
    """

    name: str
    value: float
    base: float
    samples: int
    low: float | None = None
    high: float | None = None
    previous: float | None = None
    against_base: Paired | None = None
    against_previous: Paired | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Bounds on one metric: on its value, or on its growth relative to the base (0.05: five per cent more)."""

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    max_growth: float | None = None
    min_samples: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    metric: str
    holds: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    passed: bool
    reasons: tuple[Reason, ...]


def decide(metrics: Iterable[Metric], policy: Iterable[Threshold]) -> GateDecision:
    """Check every threshold; a metric that is missing, or measured on too few samples, does not hold."""
    measured: Mapping[str, Metric] = {m.name: m for m in metrics}
    reasons = tuple(_check(t, measured.get(t.metric)) for t in policy)
    return GateDecision(passed=all(r.holds for r in reasons), reasons=reasons)


def _check(threshold: Threshold, metric: Metric | None) -> Reason:
    name = threshold.metric
    if metric is None:
        return Reason(metric=name, holds=False, text=f"{name} was not measured")
    if metric.samples < threshold.min_samples:
        text = f"{name} rests on {metric.samples} samples, {threshold.min_samples} are demanded"
        return Reason(metric=name, holds=False, text=text)
    demands: list[tuple[bool, str]] = []
    if threshold.at_least is not None:
        demands.append((metric.value >= threshold.at_least, f"at least {threshold.at_least:.3g}"))
    if threshold.at_most is not None:
        demands.append((metric.value <= threshold.at_most, f"at most {threshold.at_most:.3g}"))
    if threshold.max_growth is not None:
        limit = metric.base * (1 + threshold.max_growth)
        demands.append(
            (metric.value <= limit, f"at most {limit:.3g} (base {metric.base:.3g} + {threshold.max_growth:.1%})")
        )
    holds = all(ok for ok, _ in demands)
    text = f"{name} is {metric.value:.3g} (n={metric.samples}), demanded: {', '.join(d for _, d in demands)}"
    return Reason(metric=name, holds=holds, text=text)
