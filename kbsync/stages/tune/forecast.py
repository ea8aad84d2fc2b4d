"""What a search will do on this machine, and how long it should take."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.ports import ArtifactStore, BaseModel, Clock, Work
from kbsync.stages.session import Run
from kbsync.stages.tune.extent import Estimate, estimate_for, extent_for, larger
from kbsync.stages.tune.trials import FORMAT, KIND
from kbsync.text import shipped

TIMED_TEXTS = 8
"""Paragraphs of the shipped text that the base reads to show how fast it is here."""
LEAST_SECONDS = 0.01
"""A clock that stands still, as a test's does, must not make the work free."""


def forecast(
    run: Run, base: BaseModel, artifacts: ArtifactStore | None, budget: timedelta, *, units: int | None = None
) -> Estimate:
    """What a search will do and how long it should take.

    The base's speed on this machine is measured once, and kept in ``artifacts`` (None: measured anew and not kept):
    every further search within this budget does the same.
    """
    key = content_hash([FORMAT, "speed", base.fingerprint])
    stored = artifacts.get(KIND, key) if artifacts else None
    if stored is None:
        stored = canonical_json(_seconds_per_token(base, run.clock, run.work)).encode()
        if artifacts:
            artifacts.put(KIND, key, stored)
    estimate = estimate_for(budget, float(json.loads(stored)))
    return estimate if units is None else replace(estimate, extent=extent_for(units))


def told(estimate: Estimate, budget: timedelta) -> dict[str, Any]:
    """An estimate as the log has it."""
    extent = estimate.extent
    return {
        "recipes": extent.recipes,
        "facts": extent.facts,
        "trials": extent.trials,
        "units": extent.units,
        "minutes": round(estimate.seconds / 60, 1),
        "budget_minutes": round(budget.total_seconds() / 60, 1),
        "over_budget": not estimate.within(budget),
    }


def more_time(estimate: Estimate) -> str:
    """What the next larger search would take and do."""
    following = larger(estimate.extent)
    if following is None:
        return "there is no larger search"
    minutes = following.units * estimate.seconds_per_unit / 60
    alone = "this tries one recipe and compares it with no other; " if estimate.extent.recipes == 1 else ""
    return (
        f"{alone}about {minutes:.0f} minutes would try {following.recipes} recipes on up to {following.facts} facts "
        f"(`kbsync recipe tune --budget {max(1, round(minutes * 1.05 + 0.5))}m`)"
    )


def _seconds_per_token(base: BaseModel, clock: Clock, work: Work) -> float:
    texts = shipped.held_out()[:TIMED_TEXTS]
    model = base.language_model()
    model.perplexity(texts[:1], work=work)
    begun = clock.monotonic()
    read = model.perplexity(texts, work=work)
    return max(clock.monotonic() - begun, LEAST_SECONDS) / max(1, read.tokens)
