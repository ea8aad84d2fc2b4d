"""What people read of a search for a recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kbsync.domain.audit import AuditEvent
from kbsync.stages.tune.extent import Estimate
from kbsync.stages.tune.tune import TuneResult


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneView:
    """A search for a recipe."""

    recipe: str
    """The best recipe's name."""
    file: str | None
    """Null where no recipe holds the gate's bounds, so that none was written."""
    score: float
    """Harmonic mean of efficacy, generalization and specificity on the development facts."""
    facts: int
    """The development facts that the best recipe wrote."""
    capacity: int
    """Number of facts in one version up to which the gate's bounds should hold; 0: none."""
    trials: int
    units: int
    """The work that was done."""
    refusal: str
    """Which bound no recipe holds, and by how much; empty where one holds all."""
    more_time: str
    """What a larger search would take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneForecast:
    """What a search would do."""

    recipes: int
    """The recipes that would be tried."""
    facts: int
    """The most development facts that a trial would write."""
    trials: int
    units: int
    seconds: float
    """What that should take on this machine."""
    within_budget: bool
    more_time: str
    """What a larger search would take."""


def tune_view(result: TuneResult) -> TuneView:
    """What ``kbsync recipe tune`` prints."""
    return TuneView(
        recipe=result.recipe.name,
        file=str(result.path) if result.path else None,
        score=round(result.best.score, 4),
        facts=result.best.facts,
        capacity=result.recipe.capacity,
        trials=len(result.trials),
        units=result.estimate.extent.units,
        refusal=result.refusal,
        more_time=result.more_time,
    )


def forecast_view(estimate: Estimate, *, within_budget: bool, more_time: str) -> TuneForecast:
    """What ``kbsync recipe tune --dry-run`` prints."""
    extent = estimate.extent
    return TuneForecast(
        recipes=extent.recipes,
        facts=extent.facts,
        trials=extent.trials,
        units=extent.units,
        seconds=round(estimate.seconds, 1),
        within_budget=within_budget,
        more_time=more_time,
    )


def searched(events: Sequence[AuditEvent], recipe_fingerprint: str) -> str:
    """How good a version's recipe is, in a sentence; empty where it was not found by a search."""
    bodies = [event.body for event in events if event.body.get("fingerprint") == recipe_fingerprint]
    return goodness(bodies[-1]) if bodies else ""


def goodness(evidence: Mapping[str, Any]) -> str:
    """How good a recipe is by its evidence, and what more time would bring; without a full stop."""
    return (
        f"score {evidence['score']:.2f} on {evidence['facts']} development facts, the best of "
        f"{evidence['plan']['recipes']} recipes; more time: {evidence['more_time']}"
    )
