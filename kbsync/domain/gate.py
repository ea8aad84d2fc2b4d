"""The gate: metrics and policy in, decision and every reason out (a pure function)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from kbsync.domain.canonical import content_hash
from kbsync.domain.interval import PairedDifference


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
    against_base: PairedDifference | None = None
    against_previous: PairedDifference | None = None


class Action(StrEnum):
    """What follows when a bound does not hold."""

    REFUSE = "refuse"
    WARN = "warn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """Bounds on one metric.

    ``at_least`` and ``at_most`` bound the value; ``max_growth`` its growth relative to the base (0.05: five per cent
    more), ``max_drop`` its fall below the base (absolute); ``max_growth_previous`` and ``max_drop_previous`` the same
    against the version before, where there is one. ``significant``: a fall counts when its whole 95 % interval lies
    beyond the bound, so that chance alone refuses nothing. ``optional``: where the metric is missing or rests on fewer
    than ``min_samples``, that is said and nothing follows.
    """

    metric: str
    at_least: float | None = None
    at_most: float | None = None
    max_growth: float | None = None
    max_drop: float | None = None
    max_growth_previous: float | None = None
    max_drop_previous: float | None = None
    min_samples: int = 1
    action: Action = Action.REFUSE
    significant: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One threshold's judgement. ``warning``: it refuses nothing when it does not hold."""

    metric: str
    holds: bool
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class GateDecision:
    passed: bool
    reasons: tuple[Reason, ...]

    @property
    def refusals(self) -> tuple[Reason, ...]:
        """Why it did not pass; empty where it did."""
        return tuple(r for r in self.reasons if not r.holds and not r.warning)

    @property
    def warnings(self) -> tuple[Reason, ...]:
        return tuple(r for r in self.reasons if not r.holds and r.warning)


def decide(metrics: Iterable[Metric], policy: Iterable[Threshold]) -> GateDecision:
    """Check every threshold and return every reason.

    A metric that is missing, or measured on too few samples, does not hold unless its threshold is optional.
    """
    measured: Mapping[str, Metric] = {m.name: m for m in metrics}
    reasons = tuple(_check(t, measured.get(t.metric)) for t in policy)
    return GateDecision(passed=all(r.holds or r.warning for r in reasons), reasons=reasons)


def policy_hash(policy: Iterable[Threshold]) -> str:
    """Identity of a policy: an evaluation keeps the one that it was judged by."""
    return content_hash(list(policy))


def short_of_samples(metrics: Iterable[Metric], policy: Iterable[Threshold]) -> tuple[Threshold, ...]:
    """Thresholds that refuse because too little was asked, whatever the answers were: no fact is to blame for that."""
    asked = {m.name: m.samples for m in metrics}
    return tuple(
        t for t in policy if t.action is Action.REFUSE and not t.optional and asked.get(t.metric, 0) < t.min_samples
    )


def _check(threshold: Threshold, metric: Metric | None) -> Reason:
    name, warning = threshold.metric, threshold.action is Action.WARN
    if metric is None or metric.samples < threshold.min_samples:
        found = "was not measured" if metric is None else f"rests on {metric.samples} samples"
        text = f"{name} {found}" + (f", {threshold.min_samples} are demanded" if metric else "")
        text += ": not judged" if threshold.optional else ""
        return Reason(metric=name, holds=threshold.optional, text=text, warning=warning)
    demands = list(_demands(threshold, metric))
    holds = all(ok for ok, _ in demands)
    said = ", ".join(text for _, text in demands) or "nothing: there is no version before"
    text = f"{name} is {metric.value:.3g} (n={metric.samples}), demanded: {said}"
    return Reason(metric=name, holds=holds, text=text, warning=warning)


def _demands(threshold: Threshold, metric: Metric) -> Iterator[tuple[bool, str]]:
    """Each bound: whether it holds, and what it says. Bounds against a version that is not there say nothing."""
    value = metric.value
    if threshold.at_least is not None:
        yield value >= threshold.at_least, f"at least {threshold.at_least:.3g}"
    if threshold.at_most is not None:
        yield value <= threshold.at_most, f"at most {threshold.at_most:.3g}"
    before = (
        ("base", metric.base, metric.against_base, threshold.max_growth, threshold.max_drop),
        (
            "version before",
            metric.previous,
            metric.against_previous,
            threshold.max_growth_previous,
            threshold.max_drop_previous,
        ),
    )
    for whose, other, difference, growth, drop in before:
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
    """Prompt by prompt where that was measured, else value against value."""
    change = difference.value if difference else metric.value - other
    surely = difference.high if difference and significant else change
    interval = f", {difference.low:+.3g} to {difference.high:+.3g}" if difference else ""
    sure = " beyond chance" if significant else ""
    text = f"no more than {drop:.3g} below the {whose}{sure} ({change:+.3g}{interval})"
    return surely >= -drop, text
