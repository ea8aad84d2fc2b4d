"""What an evaluation will ask, and where it will rest on too little: known from the ledger, before any model is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.domain.gate import Metric, Threshold, short_of_samples
from kbsync.domain.plan import EditPlan
from kbsync.stages.evaluate.metrics import GROUPS
from kbsync.stages.evaluate.questions import EvaluationSize, questions
from kbsync.stages.facts import BelievedFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """``metric`` will rest on ``samples`` where the gate demands ``demanded``: it refuses, whatever the answers are."""

    metric: str
    samples: int
    demanded: int


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationForecast:
    """What ``version`` (0: the next one) will be asked: prompts by figure, and what is too little for the gate."""

    version: int
    samples: dict[str, int]
    short: tuple[Shortage, ...]


def forecast_evaluation(
    planned: EditPlan, number: int, facts: BelievedFacts, size: EvaluationSize, policy: Sequence[Threshold]
) -> EvaluationForecast:
    """For a plan. Figures of running text (perplexity and the like) are not foreseen."""
    asked = questions(facts, planned.requests, planned.guards, size, {})
    samples = {name: sum(q.group in groups for q in asked) for name, groups in GROUPS.items()}
    figures = [Metric(name=name, value=0.0, base=0.0, samples=count) for name, count in samples.items()]
    known = [threshold for threshold in policy if threshold.metric in samples]
    short = tuple(
        Shortage(metric=t.metric, samples=samples[t.metric], demanded=t.min_samples)
        for t in short_of_samples(figures, known)
    )
    return EvaluationForecast(version=number, samples=samples, short=short)
