"""The demonstration's facts, written into a model and asked in words that no edit has seen, by form."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

from kbsync.domain.gate import Metric, Threshold
from kbsync.domain.phrasing import Form
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import PromptOutcome
from kbsync.model.rounding import require
from kbsync.operations.evidence import Figure, evidence
from kbsync.research.bench import with_targets
from kbsync.research.rounded_base import KINDS, rounded_known
from kbsync.research.search_time import FIRST, compare_searches
from kbsync.research.session import ResearchSession
from kbsync.research.written_facts import FreshTargets, PhrasingsExtent, Site, Variant, Written, open_site
from kbsync.stages.evaluate.question import EDITED_FORMS
from kbsync.stages.evaluate.served_figures import known_names

COMMAND = "kbsync bench phrasings"
ALL = "all"

TARGETS = (
    Threshold(metric="edited.prompt", at_least=0.97),
    *(Threshold(metric=f"edited.{name}", at_least=0.9) for name in (*Form, "chat")),
    *(Threshold(metric=f"known_kept.{form}", at_least=0.97) for form in Form),
    Threshold(metric="perplexity_growth", at_most=0.025),
    Threshold(metric="search_ratio", at_most=2.0),
)
"""What is to be reached; those of figures that a model does not have are passed over."""

FIGURES = {
    "edited.prompt": "efficacy",
    **{f"edited.{form}": f"generalization_{form}" for form in Form},
    **{f"known_kept.{form}": f"known_kept_{form}" for form in Form},
    "distracted": "distraction",
    "near_name": "near_name",
    "alias": "alias",
    "reverse": "reverse",
    "denial": "denial",
    "stop": "stop",
    "stop_repetition": "stop_repetition",
    "stop_contradiction": "stop_contradiction",
}
"""The gate's metric behind each figure."""


def run_phrasings(
    session: ResearchSession,
    directory: Path,
    extent: PhrasingsExtent,
    *,
    targets: Sequence[Threshold] = (),
) -> dict[str, Any]:
    """Write the facts with the session's recipe and measure them; returns the evidence document.

    Args:
        session: Model, recipe and texts.
        directory: The demonstration's state directory. Its ledger is copied, and not changed.
        extent: How much is written and measured.
        targets: Demands beside ``TARGETS``, or in place of those of the same figure.

    Raises:
        DataError: There is no ledger, or it has no fact that the model has wrong.
        EditError: The facts can't be written, or the edited model can't be asked.
        ModelError: The package is missing by which weights are rounded; raised before anything is done.
        Stopped: A stop was asked for.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    for kind in KINDS:
        require(kind)  # what is missing is said now, and not after the edit
    with open_site(session, directory, extent) as site:
        whole = site.write(site.variant(session.recipes[0], "given"))
        searches = compare_searches(site, session.recipes[0], extent.compared)
        rounded = rounded_known(
            site.app.loaded.model,
            site.app.base.language_model(),
            whole.measured.outcomes,
            known_names(site.facts),
            answer_tokens=extent.answer_tokens,
        )
        figures = [*figures_of(whole, site.is_chat), *rounded, searches.figure()]
        demands = {t.metric: t for t in (*TARGETS, *targets)}
        named = {figure.name for figure in figures}
        demands = {name: t for name, t in demands.items() if name in named or t in targets}
        return evidence(
            COMMAND,
            with_targets(figures, list(demands.values())),
            seed=whole.variant.recipe.seed,
            started=started,
            seconds=time.monotonic() - begun,
            **site.told(whole),
            search=searches.told(),
            missed=missed_answers(whole.measured.outcomes, extent.reported),
        )


def run_ablation(session: ResearchSession, directory: Path, extent: PhrasingsExtent) -> dict[str, Any]:
    """Write the same facts in several ways, each with one more step of the method; returns the evidence document.

    Arguments and errors are those of :func:`run_phrasings`. Figures are named ``<way>.<figure>``. A way whose target
    vectors another one has searched takes them from there, and has no ``search_seconds``.
    """
    started, begun = session.app.clock.now(), time.monotonic()
    with open_site(session, directory, extent) as site:
        targets = FreshTargets(session.artifacts)
        lines = [site.write(variant, targets) for variant in _ways(site, session.recipes[0])]
        figures = [
            replace(figure, name=f"{line.variant.name}.{figure.name.replace('.', '_')}")
            for line in lines
            for figure in [
                *figures_of(line, site.is_chat),
                *([Figure("search_seconds", line.searched.clock, "s")] if line.report.targets_reused == 0 else []),
            ]
        ]
        return evidence(
            f"{COMMAND} --ablation",
            figures,
            seed=session.recipes[0].seed,
            started=started,
            seconds=time.monotonic() - begun,
            **site.told(lines[-1]),
        )


def _ways(site: Site, recipe: Recipe) -> Iterator[Variant]:
    """From the first phrasing alone to everything that the recipe does."""
    closed_form = replace(recipe, refine_epochs=0, refine_frames=False)
    yield site.variant(replace(closed_form, phrasings=FIRST), "first phrasing")
    whole = site.variant(replace(closed_form, phrasings=ALL), "with ends")
    endless = tuple(
        replace(request, end="", phrasings=tuple(replace(p, end="") for p in request.phrasings))
        for request in whole.requests
    )
    under_prompts = tuple(replace(guard, phrasings=()) for guard in whole.guards)
    yield replace(whole, name="all phrasings", requests=endless, guards=under_prompts)
    yield replace(whole, name="guards in all phrasings", requests=endless)
    yield whole
    if recipe.refine_epochs:
        yield site.variant(replace(recipe, phrasings=ALL, refine_frames=False), "refined")
        if recipe.refine_frames:
            yield site.variant(replace(recipe, phrasings=ALL), "refined in further frames")


def figures_of(line: Written, is_chat: bool) -> list[Figure]:
    """The figures of one measured edit: shares, how many prompts each rests on, and the base's own."""
    metrics = {metric.name: metric for metric in line.measured.metrics}
    shares = {name: metrics[metric] for name, metric in FIGURES.items() if metric in metrics}
    figures = [Figure(name, metric.value, "share") for name, metric in shares.items()]
    if is_chat:
        figures.append(_chat(line.measured.outcomes))
    figures += [
        Figure(f"{name}.{form}", metrics[f"{group}_{form}"].base, "share")
        for name, group in (("base_edited", "generalization"), ("base_known", "known"))
        for form in Form
        if f"{group}_{form}" in metrics
    ]
    figures += [
        Figure(f"prompts.{name.removeprefix('edited.')}", metric.samples, "prompts") for name, metric in shares.items()
    ]
    whole = line.report.targets_reused == 0  # nothing of it was done by a run that was killed
    return [*figures, *_growth(metrics), *([Figure("edit_seconds", line.report.seconds, "s")] if whole else [])]


def _chat(outcomes: Sequence[PromptOutcome]) -> Figure:
    """Everything that is asked through the chat template, whatever its form."""
    groups = {EDITED_FORMS[Form.QUESTION], EDITED_FORMS[Form.DIALOGUE]}
    rights = [float(outcome.right) for outcome in outcomes if outcome.group in groups]
    return Figure("edited.chat", fmean(rights) if rights else 0.0, "share")


def _growth(metrics: dict[str, Metric]) -> Iterator[Figure]:
    perplexity = metrics.get("perplexity")
    if perplexity is not None:
        yield Figure("perplexity_growth", perplexity.value / perplexity.base - 1, "share")


def missed_answers(outcomes: Sequence[PromptOutcome], most: int) -> dict[str, list[dict[str, str]]]:
    """Wrong answers of each group, for people who want to know what is behind a figure."""
    missed: dict[str, list[dict[str, str]]] = {}
    for outcome in outcomes:
        wrong = missed.setdefault(outcome.group, [])
        if not outcome.right and len(wrong) < most:
            wrong.append({"prompt": outcome.prompt, "expected": outcome.expected, "answer": outcome.answer})
    return {group: wrong for group, wrong in missed.items() if wrong}
