"""How much an evaluation will ask, and where that is too little: known from the ledger before any model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.domain.gate import Metric, Threshold, short_of_samples
from kbsync.domain.plan import EditPlan
from kbsync.stages.evaluate.metrics import SHARES
from kbsync.stages.evaluate.question import EvaluationSize
from kbsync.stages.evaluate.question_set import questions
from kbsync.stages.facts import BelievedFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """A metric that will rest on fewer samples than the gate demands, so that it refuses whatever the answers are."""

    metric: str
    samples: int
    demanded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationForecast:
    """How much a version will be asked."""

    version: int
    """0: the next one."""
    samples: dict[str, int]
    """The number of prompts by metric."""
    short: tuple[Shortage, ...]
    """Metrics that will rest on too few."""


def forecast_evaluation(
    planned: EditPlan, number: int, facts: BelievedFacts, size: EvaluationSize, policy: Sequence[Threshold]
) -> EvaluationForecast:
    """Count the prompts of the version that a plan describes; metrics of running text are not forecast.

    Args:
        planned: The plan.
        number: The version's number; 0: the next one.
        facts: All believed facts.
        size: How much an evaluation asks.
        policy: The gate's thresholds.
    """
    asked = questions(facts, planned.requests, planned.guards, size, {})
    samples = {name: sum(q.group in groups for q in asked) for name, groups in SHARES.items()}
    metrics = [Metric(name=name, value=0.0, base=0.0, samples=count) for name, count in samples.items()]
    forecast = [threshold for threshold in policy if threshold.metric in samples]
    short = tuple(
        Shortage(metric=t.metric, samples=samples[t.metric], demanded=t.min_samples)
        for t in short_of_samples(metrics, forecast)
    )
    return EvaluationForecast(version=number, samples=samples, short=short)
