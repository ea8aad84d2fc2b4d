"""What a recipe that was found rests on: as data, and as the head of its file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from kbsync.domain.canonical import content_hash, plain
from kbsync.domain.recipe import Recipe
from kbsync.ports import LayerTrace
from kbsync.stages.tune.development import Development
from kbsync.stages.tune.extent import Estimate
from kbsync.stages.tune.forecast import more_time
from kbsync.stages.tune.search import Trial, windows

SEARCHED = ("layers", "covariance_weight", "learning_rate", "clamp", "phrasings", "refine_epochs")
"""The fields of a recipe that the trials differ in."""


def evidence_of(
    base: str,
    budget: timedelta,
    best: Trial,
    recipe: Recipe,
    trials: Sequence[Trial],
    estimate: Estimate,
    development: Development,
    trace: LayerTrace,
) -> dict[str, Any]:
    """What the recipe rests on, as JSON."""
    return {
        "base": base,
        "recipe": recipe.name,
        "fingerprint": recipe.fingerprint,
        "score": round(best.score, 4),
        "facts": best.facts,
        "growth": round(best.growth, 4),
        "capacity": recipe.capacity,
        "figures": {name: round(value, 4) for name, value in sorted(best.figures.items())},
        "plan": {
            "units": estimate.extent.units,
            "recipes": estimate.extent.recipes,
            "facts": estimate.extent.facts,
            "trials": estimate.extent.trials,
            "seconds_per_unit": estimate.seconds_per_unit,
            "budget": budget.total_seconds(),
        },
        "more_time": more_time(estimate),
        "development": {
            "written": len(development.requests),
            "guarded": len(development.guards),
            "known": development.known,
            "sha256": content_hash([list(key) for key in development.facts.watched]),
        },
        "trace": {"facts": trace.facts, "suggested": list(trace.suggested), "windows": list(map(list, windows(trace)))},
        "trials": [
            {
                "recipe": trial.recipe.fingerprint,
                **{name: plain(getattr(trial.recipe, name)) for name in SEARCHED},
                "facts": trial.facts,
                "score": round(trial.score, 4),
                "short": round(trial.short, 4),
                "growth": round(trial.growth, 4),
                "broken": trial.broken,
            }
            for trial in trials
        ],
    }


def comment(document: dict[str, Any]) -> str:
    """The head of the recipe's file."""
    plan, figures = document["plan"], document["figures"]
    shown = ("efficacy", "generalization", "specificity", "known_kept")
    told_figures = "  ".join(f"{name} {figures[name]:.3f}" for name in shown if name in figures)
    lines = [
        f"Found by kbsync for the base {document['base'][:12]}: the best of {plan['recipes']} recipes, on "
        f"{document['facts']} development facts, which no version is measured on:",
        f"  score {document['score']:.3f}  {told_figures}  perplexity {document['growth']:+.1%}",
        f"{plan['units']} units of work within a budget of {plan['budget'] / 60:g} minutes, at "
        f"{plan['seconds_per_unit']:.3g} seconds a unit. The same again: `kbsync recipe tune --units {plan['units']}`.",
        f"More: {document['more_time']}.",
        "Every trial (facts, layers, λ, step, clamp, phrasings, passes of the refinement: score):",
        *(
            f"  {t['facts']:3}  {','.join(map(str, t['layers']))}  {t['covariance_weight']:g}  "
            f"{t['learning_rate']:g}  {t['clamp']:g}  {t['phrasings']}  {t['refine_epochs']}: "
            + (t["broken"] or f"{t['score']:.3f}, perplexity {t['growth']:+.1%}")
            for t in document["trials"]
        ),
    ]
    return "\n".join(lines)
