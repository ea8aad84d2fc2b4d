"""Which way answers better on this model: the edit, the fact in the context, or both."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from kbsync.domain.gate import Metric
from kbsync.stages.evaluate.question import WITH_CONTEXT, WITHOUT_CONTEXT


@dataclass(frozen=True, slots=True, kw_only=True)
class WaysView:
    """Shares of right answers to the same questions about edited facts."""

    base: float
    """Nothing is edited, and the question stands alone."""
    context: float
    """Nothing is edited, and the right fact stands before the question."""
    edit: float
    """The version is asked the question alone."""
    both: float
    """The version is asked with the right fact before the question."""
    samples: int
    finding: str
    """Which way is better, in a sentence."""


def compared_ways(metrics: Iterable[Metric]) -> WaysView | None:
    """What an evaluation says of the ways; None where it did not ask."""
    named = {metric.name: metric for metric in metrics}
    told, alone = named.get(WITH_CONTEXT), named.get(WITHOUT_CONTEXT)
    if told is None or alone is None:
        return None
    return WaysView(
        base=alone.base,
        context=told.base,
        edit=alone.value,
        both=told.value,
        samples=alone.samples,
        finding=_finding(alone, told.base),
    )


def _finding(edit: Metric, context: float) -> str:
    low = edit.value if edit.low is None else edit.low
    high = edit.value if edit.high is None else edit.high
    if low <= context <= high:
        return "These questions are too few to tell which of the two is better: one lies in the other's 95 % interval."
    if context < low:
        return "On this model the edit answers more than the fact in the context does."
    return "On this model the fact in the context answers more than the edit does."
