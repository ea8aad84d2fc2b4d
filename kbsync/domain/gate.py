"""The gate: metrics and policy in, decision and every reason out (a pure function)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kbsync.domain.canonical import content_hash
from kbsync.domain.interval import PairedDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One measured metric of a version, its base and its predecessor. None: not measured."""

    name: str
    value: float
    """Of the version."""
    base: float
    """Of the base."""
    samples: int
    """The number of prompts (for the perplexity: tokens) behind it."""
    low: float | None = None
    """Lower bound of the value's 95 % interval: Wilson's where each fact is asked once, else a bootstrap over facts."""
    high: float | None = None
    """Upper bound of that interval."""
    previous: float | None = None
    """Of the version before, on those of the prompts that it was asked."""
    against_base: PairedDifference | None = None
    """Mean difference from the base, prompt by prompt."""
    against_previous: PairedDifference | None = None
    """Mean difference from the version before, prompt by prompt."""


class Action(StrEnum):
    """What happens when a bound does not hold."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Bounds on one metric. None: no such bound."""

    metric: str
    """The metric's name."""
    at_least: float | None = None
    at_most: float | None = None
    max_growth: float | None = None
    """Growth over the base, as a share of the base's value (0.05: five per cent more)."""
    max_drop: float | None = None
    """Fall below the base, absolute."""
    max_growth_previous: float | None = None
    """As ``max_growth``, against the version before, if there is one."""
    max_drop_previous: float | None = None
    """As ``max_drop``, against the version before, if there is one."""
    min_samples: int = 1
    """A metric that rests on fewer samples does not hold."""
    action: Action = Action.REFUSE
    significant: bool = False
    """A fall counts only if its whole 95 % interval lies beyond the bound, so that chance alone refuses nothing."""
    optional: bool = False
    """Where the metric is missing, or rests on too few samples, this is said and nothing follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What one threshold says."""

    metric: str
    holds: bool
    text: str
    """The value and what is demanded, for people."""
    warning: bool = False
    """It refuses nothing if it does not hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    """Whether a version may be promoted, and every reason."""

    passed: bool
    reasons: tuple[Reason, ...]
    """One for each threshold of the policy."""

    @property
    def refusals(self) -> tuple[Reason, ...]:
        """Why it did not pass; empty where it did."""
        return tuple(r for r in self.reasons if not r.holds and not r.warning)

    @property
    def warnings(self) -> tuple[Reason, ...]:
        """Thresholds that do not hold and refuse nothing."""
        return tuple(r for r in self.reasons if not r.holds and r.warning)


def decide(metrics: Iterable[Metric], policy: Iterable[Threshold]) -> GateDecision:
    """Check every threshold of ``policy``.

    A metric that is missing, or that rests on too few samples, does not hold unless its threshold is optional.
    """
    measured: Mapping[str, Metric] = {m.name: m for m in metrics}
    reasons = tuple(_check(t, measured.get(t.metric)) for t in policy)
    return GateDecision(passed=all(r.holds or r.warning for r in reasons), reasons=reasons)


def policy_hash(policy: Iterable[Threshold]) -> str:
    """Identifies a policy; an evaluation keeps the hash of the one that it was judged by."""
    return content_hash(list(policy))


def short_of_samples(metrics: Iterable[Metric], policy: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """Thresholds that refuse because too little was asked, whatever the answers were; no fact is to blame for that."""
    samples = {m.name: m.samples for m in metrics}
    return tuple(
        t for t in policy if t.action is Action.REFUSE and not t.optional and samples.get(t.metric, 0) < t.min_samples
    )


def _check(threshold: Threshold, metric: Metric | None) -> Reason:
    name, warning = threshold.metric, threshold.action is Action.WARN
    if metric is None or metric.samples < threshold.min_samples:
        state = "was not measured" if metric is None else f"rests on {metric.samples} samples"
        text = f"{name} {state}" + (f", {threshold.min_samples} are demanded" if metric else "")
        text += ": not judged" if threshold.optional else ""
        return Reason(metric=name, holds=threshold.optional, text=text, warning=warning)
    demands = list(_demands(threshold, metric))
    holds = all(ok for ok, _ in demands)
    said = ", ".join(text for _, text in demands) or "nothing: there is no version before"
    text = f"{name} is {metric.value:.3g} (n={metric.samples}), demanded: {said}"
    return Reason(metric=name, holds=holds, text=text, warning=warning)


def _demands(threshold: Threshold, metric: Metric) -> Iterator[tuple[bool, str]]:
    """Yield for each bound whether it holds, and what it demands; bounds against a version that is not there are left
    out."""
    value = metric.value
    if threshold.at_least is not None:
        yield value >= threshold.at_least, f"at least {threshold.at_least:.3g}"
    if threshold.at_most is not None:
        yield value <= threshold.at_most, f"at most {threshold.at_most:.3g}"
    compared = (
        ("base", metric.base, metric.against_base, threshold.max_growth, threshold.max_drop),
        (
            "version before",
            metric.previous,
            metric.against_previous,
            threshold.max_growth_previous,
            threshold.max_drop_previous,
        ),
    )
    for whose, other, difference, growth, drop in compared:
        if other is None:
            continue
        if growth is not None:
            limit = other * (1 + growth)
            yield value <= limit, f"at most {limit:.3g} ({whose} {other:.3g} + {growth:.1%})"
        if drop is not None:
            yield _fell_within(metric, other, difference, drop, threshold.significant, whose)


def _fell_within(
    metric: Metric, other: float, difference: PairedDifference | None, drop: float, significant: bool, whose: str
) -> tuple[bool, str]:
    """Compare prompt by prompt where that was measured, else value with value."""
    change = difference.value if difference else metric.value - other
    judged = difference.high if difference and significant else change
    interval = f", {difference.low:+.3g} to {difference.high:+.3g}" if difference else ""
    beyond_chance = " beyond chance" if significant else ""
    text = f"no more than {drop:.3g} below the {whose}{beyond_chance} ({change:+.3g}{interval})"
    return judged >= -drop, text
