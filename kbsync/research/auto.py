"""``kbsync bench auto``: the recipe that was found against the one that people made, on the same facts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from kbsync.domain.canonical import content_hash, plain
from kbsync.domain.errors import EditError
from kbsync.domain.plan import EditRequest
from kbsync.domain.recipe import Recipe
from kbsync.operations.evidence import Figure, at_least, evidence
from kbsync.research.metrics import harmonic_mean
from kbsync.research.result_cache import EDITED_BY, MEASURED_BY, ResultCache
from kbsync.research.session import ResearchSession
from kbsync.research.written_facts import PhrasingsExtent, Site, Variant, open_site
from kbsync.stages.evaluate.measurement import Measurement
from kbsync.stages.evaluate.predecessor import Predecessor
from kbsync.stages.session import writer
from kbsync.stages.tune.shelf import RecipeShelf
from kbsync.stages.tune.trials import SCORED
from kbsync.stages.tune.tune import TuneResult, TuneSettings, tune

ALLOWED = -0.01
"""The found recipe may score a point less than the one that people made."""
SHOWN = (*SCORED, "known_kept", "perplexity_growth")


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoExtent:
    """How much is searched, written and measured."""

    budget: timedelta
    units: int | None = None
    """The work of the search; None: what the budget allows."""
    written: int | None = None
    """The most facts that are written to compare the recipes, drawn by hash; None: all that the model has wrong."""
    measured: PhrasingsExtent


def run_auto(session: ResearchSession, directory: Path, extent: AutoExtent) -> dict[str, Any]:
    """Find a recipe for the session's model, and write the same facts with it and with the session's recipe.

    What is finished is kept: a killed run goes on where it was.

    Args:
        session: Model, texts, and the recipe that people made.
        directory: The demonstration's state directory. Its ledger is copied, and not changed.
        extent: How much is done.

    Returns:
        The evidence document.

    Raises:
        DataError: The model knows too few of the facts, or has none wrong.
        EditError: A recipe's edit can't be measured.
        Stopped: A stop was asked for.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    with open_site(session, directory, extent.measured) as site:
        found = _found(session, site, extent)
        lines = {"auto": found.recipe, "hand": session.recipes[0]}
        variants = {name: _sample(site.variant(recipe, name), extent.written) for name, recipe in lines.items()}
        measured = {name: _line(session, site, variant) for name, variant in variants.items()}
    scores = {name: harmonic_mean(figures[f] for f in SCORED) for name, figures in measured.items()}
    return evidence(
        "kbsync bench auto",
        [
            *(Figure(f"score.{name}", value, "share") for name, value in scores.items()),
            at_least("difference", scores["auto"] - scores["hand"], "share", ALLOWED),
            Figure("seconds", sum(trial.seconds for trial in found.trials), "s"),
            Figure("estimate", found.estimate.seconds, "s"),
            Figure("trials", len(found.trials), "trials"),
            Figure("facts", len(variants["auto"].requests), "facts"),
            *(
                Figure(f"{shown}.{name}", figures[shown], "share")
                for shown in SHOWN
                for name, figures in measured.items()
                if shown in figures
            ),
        ],
        seed=0,
        started=started,
        seconds=time.monotonic() - begun,
        model={"reference": session.bench().loaded.reference, "fingerprint": site.app.base.fingerprint},
        data={"ledger_sha256": site.ledger_sha256, "guarded": len(variants["auto"].guards)},
        recipes={name: plain(r) | {"fingerprint": r.fingerprint} for name, r in lines.items()},
        refusal=found.refusal,
        tuning={
            "units": found.estimate.extent.units,
            "seconds_per_unit": found.estimate.seconds_per_unit,
            "budget": extent.budget.total_seconds(),
            "trials": [_told(found, place) for place in range(len(found.trials))],
            "suggested": list(found.trace.suggested),
        },
    )


def _found(session: ResearchSession, site: Site, extent: AutoExtent) -> TuneResult:
    app = site.app
    shelf = RecipeShelf((session.app.settings.state_dir / "bench" / "auto",), app.base.fingerprint)
    texts = list(app.corpus)

    def measure_covariances(recipe: Recipe) -> None:
        """Where the editor looks for them: otherwise they would be measured twice."""
        app.statistics(recipe, texts, session.artifacts).measure(app.work)

    tuning = replace(
        app.tuning,
        shelf=shelf,
        covariances=measure_covariances,
        editor=lambda recipe: app.editor(recipe, session.artifacts, texts),
        budget=extent.budget,
    )
    settings = app.stages.settings
    bounds = TuneSettings(
        plan=settings.plan,
        gate=settings.gate,
        evaluation=extent.measured.size,
        answer_tokens=extent.measured.answer_tokens,
    )
    with writer(app.run, app.settings.lease.ttl) as held:
        return tune(held, site.facts, app.base, session.artifacts, tuning, bounds, units=extent.units)


def _sample(variant: Variant, most: int | None) -> Variant:
    """The same facts for every recipe: which ones are drawn does not hang on the words in which they are written."""

    def drawn(request: EditRequest) -> str:
        return content_hash(["bench auto", *request.key])

    chosen = sorted(variant.requests, key=drawn)[:most]
    return replace(variant, requests=tuple(sorted(chosen, key=lambda request: request.key)))


def _line(session: ResearchSession, site: Site, variant: Variant) -> Mapping[str, float]:
    """Write and measure one recipe; the figures are kept."""
    parts = ResultCache(session.artifacts, "auto", (*EDITED_BY, *MEASURED_BY, "stages"))
    kept: Mapping[str, float] = parts.make(
        lambda: _measured(session, site, variant),
        base=site.app.base.fingerprint,
        recipe=variant.recipe.fingerprint,
        requests=[request.id for request in variant.requests],
        guards=[guard.id for guard in variant.guards],
        facts=site.ledger_sha256,
        texts=content_hash([list(site.app.corpus), list(site.app.held_out)]),
        size=plain(site.extent.size),
        answer_tokens=site.extent.answer_tokens,
    )
    return kept


def _measured(session: ResearchSession, site: Site, variant: Variant) -> dict[str, float]:
    app = site.app
    editor = app.editor(variant.recipe, session.artifacts, list(app.corpus))
    edit = editor.edit(variant.requests, variant.recipe, app.work, guards=variant.guards)
    measurement = Measurement(
        base=app.base,
        artifacts=session.artifacts,
        facts=site.facts,
        size=site.extent.size,
        answer_tokens=site.extent.answer_tokens,
        held_out=app.held_out,
        neutral=(),
        work=app.work,
    )
    measured = measurement.candidate(edit.delta, variant, 1, Predecessor())
    if measured.broken:
        raise EditError(f"{variant.name}: {measured.broken}")
    figures = {metric.name: metric.value for metric in measured.metrics}
    growth = next(m.value / m.base - 1 for m in measured.metrics if m.name == "perplexity")
    return figures | {"perplexity_growth": growth}


def _told(found: TuneResult, place: int) -> dict[str, Any]:
    trial = found.trials[place]
    return {
        "layers": list(trial.recipe.layers),
        "covariance_weight": trial.recipe.covariance_weight,
        "learning_rate": trial.recipe.learning_rate,
        "clamp": trial.recipe.clamp,
        "phrasings": trial.recipe.phrasings,
        "refine_epochs": trial.recipe.refine_epochs,
        "facts": trial.facts,
        "score": trial.score,
        "short": trial.short,
        "growth": trial.growth,
        "seconds": trial.seconds,
        "broken": trial.broken,
        "figures": {name: trial.figures[name] for name in SHOWN if name in trial.figures},
    }
