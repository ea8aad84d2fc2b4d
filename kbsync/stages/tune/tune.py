"""tune: find a recipe for the base on development facts, within a budget, and write it down with what it rests on."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.domain.gate import Threshold
from kbsync.domain.recipe import Recipe
from kbsync.ports import ArtifactStore, BaseModel, Editor, LayerTrace, LayerTracer, Work
from kbsync.stages.evaluate.question import EvaluationSize
from kbsync.stages.evaluate.question_set import questions
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.plan import PlanPolicy, draft
from kbsync.stages.session import Run, Writer
from kbsync.stages.tune.capacity import foretold_capacity
from kbsync.stages.tune.development import Development, choose_development, most_guards
from kbsync.stages.tune.evidence import comment, evidence_of
from kbsync.stages.tune.extent import Estimate, Extent
from kbsync.stages.tune.forecast import forecast, more_time, told
from kbsync.stages.tune.search import Search, Trial, recipes
from kbsync.stages.tune.shelf import RecipeShelf
from kbsync.stages.tune.trials import FORMAT, KIND, Trials
from kbsync.system.log import logger

BEGINNINGS = ("The", "A", "In", "It", "On", "When", "This", "For", "There", "At", "We", "They")
"""Of texts that the base writes itself, for the perplexity where no text is left over for development."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tuning:
    """What a recipe is searched with."""

    start: Recipe
    """Gives every field that is not searched."""
    shelf: RecipeShelf
    tracer: LayerTracer
    editor: Callable[[Recipe], Editor]
    covariances: Callable[[Recipe], None]
    """Measures the key covariances of all layers of a recipe at once."""
    texts: Sequence[str]
    """For the perplexity; none of them are the gate's. Empty: the base writes some."""
    budget: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneResult:
    """What a search came to."""

    best: Trial
    recipe: Recipe
    """The best trial's, with its name and capacity."""
    trials: tuple[Trial, ...]
    estimate: Estimate
    development: Development
    trace: LayerTrace
    path: Path | None
    """Where the recipe was written; None where no recipe holds the gate's bounds."""
    refusal: str = ""
    """Why none was written."""

    @property
    def more_time(self) -> str:
        """What more time would bring."""
        return more_time(self.estimate)


@dataclass(frozen=True, slots=True, kw_only=True)
class TuneSettings:
    """What the search takes over from the stages around it."""

    plan: PlanPolicy
    gate: Sequence[Threshold]
    evaluation: EvaluationSize
    """How much the gate asks; nothing of it is used here."""
    answer_tokens: int


def tune(
    writer: Writer,
    facts: BelievedFacts,
    base: BaseModel,
    artifacts: ArtifactStore,
    tuning: Tuning,
    settings: TuneSettings,
    *,
    units: int | None = None,
) -> TuneResult:
    """Search a recipe. What is finished is kept, so that a killed search goes on where it was.

    Args:
        writer: Holds the lease.
        facts: All believed facts with their verdicts.
        base: The base.
        artifacts: Keeps what is finished.
        tuning: What is searched with.
        settings: The gate's policy and what else is the site's.
        units: The work that may be done (None: what the budget allows on this machine).

    Returns:
        The best recipe of those that hold the gate's bounds on development facts; where none does, the best one, which
        is not written.

    Raises:
        KbsyncError: Facts have no verdict yet.
        DataError: The base knows too few of the facts.
        Stopped: A stop was asked for.
    """
    run = writer.run
    start = tuning.start
    policy = replace(settings.plan, consequences=False)
    planned = draft(run, facts, start, policy)
    if len(planned.guards) > (most := most_guards(facts, settings.gate)):
        start = replace(start, guard_count=most)
        planned = draft(run, facts, start, policy)
    asked = {q.prompt for q in questions(facts, planned.requests, planned.guards, settings.evaluation, {})}
    development = choose_development(facts, planned, start, asked)
    estimate = forecast(run, base, artifacts, tuning.budget, units=units)
    logger().info("tune", **told(estimate, tuning.budget))
    trace = tuning.tracer.trace(development.traced, work=run.work)
    offered = list(recipes(start, trace))[: estimate.extent.recipes]
    every = tuple(sorted({layer for recipe in offered for layer in recipe.layers}))
    tuning.covariances(replace(start, layers=every))
    texts = tuning.texts or _own_texts(base, artifacts, run.work)
    trials = Trials(
        base=base,
        editor=tuning.editor(start),
        artifacts=artifacts,
        development=development,
        texts=texts,
        answer_tokens=settings.answer_tokens,
        policy=settings.gate,
        work=run.work,
        clock=run.clock,
    )
    search = Search(_shown(trials.make, estimate.extent), len(development.requests))
    best = search.run(offered, estimate.extent)
    return _record(run, tuning, settings, best, tuple(search.trials), estimate, development, trace)


def _own_texts(base: BaseModel, artifacts: ArtifactStore, work: Work) -> list[str]:
    """Texts that the base wrote; kept, since they decide which recipe is best."""
    key = content_hash([FORMAT, "texts", base.fingerprint, BEGINNINGS])
    stored = artifacts.get(KIND, key)
    if stored is None:
        written = base.language_model().sample(BEGINNINGS, length=100, seed=0, work=work)
        artifacts.put(KIND, key, stored := canonical_json(written).encode())
    return list(map(str, json.loads(stored)))


def _shown(make: Callable[[Recipe, int], Trial], extent: Extent) -> Callable[[Recipe, int], Trial]:
    """The same with a line in the log for each trial."""
    done = 0

    def measured(recipe: Recipe, facts: int) -> Trial:
        nonlocal done
        done += 1
        trial = make(recipe, facts)
        logger().info(
            "trial",
            number=done,
            of=extent.trials,
            layers=list(recipe.layers),
            covariance_weight=recipe.covariance_weight,
            step=recipe.learning_rate,
            phrasings=recipe.phrasings,
            passes=recipe.refine_epochs,
            facts=facts,
            score=round(trial.score, 3),
            short=round(trial.short, 3),
        )
        return trial

    return measured


def _record(
    run: Run,
    tuning: Tuning,
    settings: TuneSettings,
    best: Trial,
    trials: tuple[Trial, ...],
    estimate: Estimate,
    development: Development,
    trace: LayerTrace,
) -> TuneResult:
    growth = min((t.max_growth for t in settings.gate if t.metric == "perplexity" and t.max_growth), default=None)
    own = [trial for trial in trials if trial.recipe.fingerprint == best.recipe.fingerprint]
    recipe = replace(best.recipe, name=tuning.shelf.name, capacity=foretold_capacity(own, growth))
    refusal = ""
    if best.beyond_chance:
        refusal = (
            f"no recipe of {len({t.recipe.fingerprint for t in trials})} holds the gate's bounds on development facts; "
            f"the best one: {'; '.join(best.beyond_chance)}"
        )
    document = evidence_of(tuning.shelf.fingerprint, tuning.budget, best, recipe, trials, estimate, development, trace)
    told_in_trail = ("base", "recipe", "fingerprint", "score", "facts", "plan", "more_time", "development")
    body = {name: document[name] for name in told_in_trail} | {"refusal": refusal}
    with run.ledger.write() as tx:  # before the file: a kill in between makes the choice again, and tells it again
        tx.append_audit("tune", run.actor, body, run.clock.now())
    return TuneResult(
        best=best,
        recipe=recipe,
        trials=trials,
        estimate=estimate,
        development=development,
        trace=trace,
        path=None if refusal else tuning.shelf.write(recipe, comment(document), document),
        refusal=refusal,
    )
