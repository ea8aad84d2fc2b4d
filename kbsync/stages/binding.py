"""Every stage, bound to what one site is set up with: the one place where settings become a stage's arguments.

The command line, the daemon and the cycle call the stages through :class:`Stages`, so that all of them run a stage in
the same way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Protocol

from kbsync.domain.bisect import SearchLimits
from kbsync.domain.canonical import content_hash
from kbsync.domain.gate import Threshold
from kbsync.domain.plan import EditPlan
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Relation
from kbsync.domain.version import Version
from kbsync.ports import ArtifactStore, BaseModel, CheckpointStore, Delta, Editor, NamedFactReader, StatementSource
from kbsync.stages.edit import EditResult, edit, forecast_edit
from kbsync.stages.evaluate.evaluate import EvaluateResult, evaluate, rejudge
from kbsync.stages.evaluate.forecast import EvaluationForecast, forecast_evaluation
from kbsync.stages.evaluate.measurement import Measurement
from kbsync.stages.evaluate.question import EvaluationSize
from kbsync.stages.evaluate.served import AS, Complete
from kbsync.stages.facts import BelievedFacts, believed_facts, unjudged_facts
from kbsync.stages.judged import LedgerFacts
from kbsync.stages.plan import PlanPolicy, PlanResult, draft, plan
from kbsync.stages.probe import ProbeResult, probe
from kbsync.stages.pull.pull import PullResult, pull
from kbsync.stages.release.bisect import BisectResult, RefusedBuild, TrialBuilder, bisect
from kbsync.stages.release.canary import CanaryPolicy, CanaryResult, canary
from kbsync.stages.release.promote import MoveResult, promote, rollback
from kbsync.stages.session import Run, Writer
from kbsync.stages.tune.tune import TuneResult, TuneSettings, Tuning, tune


class Site(Protocol):
    """What the stages work with, apart from the ledger. Each part is built when it is first asked for."""

    @property
    def relations(self) -> Sequence[Relation]: ...

    @property
    def framed(self) -> Sequence[Relation]:
        """The relations in the frames in which the base is asked; raises ``ModelError`` where these can't be made."""
        ...

    @property
    def recipe(self) -> Recipe:
        """Raises ``NotFound`` where it is to be found by ``tune`` and was not yet."""
        ...

    @property
    def source(self) -> StatementSource: ...

    @property
    def base(self) -> BaseModel:
        """Knows its fingerprint without its weights, which are loaded when it is first asked something."""
        ...

    @property
    def store(self) -> CheckpointStore: ...

    @property
    def artifacts(self) -> ArtifactStore: ...

    @property
    def canary_server(self) -> Complete | None:
        """Asks the server that canaries are asked of; None: they are asked of the stored weights."""
        ...

    @property
    def served_as(self) -> Mapping[str, Callable[[Delta], AbstractContextManager[Complete]]]:
        """Forms in which a version is served, and must pass the gate, too."""
        ...

    @property
    def held_out(self) -> Sequence[str]: ...

    @property
    def neutral(self) -> Sequence[str]: ...

    @property
    def known_recipe(self) -> Recipe | None:
        """The same; None where it was not found yet."""
        ...

    @property
    def tuning(self) -> Tuning:
        """What a recipe is found with."""
        ...

    def editor(self) -> Editor:
        """The editor that the recipe names, which loads the base's weights when it first edits."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSettings:
    """How the stages of a site do their work."""

    answer_tokens: int
    """Largest length in tokens of answers that are compared with a name: by probe, evaluate and canary."""
    plan: PlanPolicy
    gate: Sequence[Threshold]
    """The gate's policy."""
    evaluation: EvaluationSize
    search: SearchLimits | None
    """When the search for culprits in a refused batch is given up (None: nobody searches)."""
    pause: timedelta
    """The wait of the next build after two refusals in a row."""
    canary: CanaryPolicy


@dataclass(frozen=True, slots=True)
class Stages:
    """The stages of one site. Each method is the stage of that name; what a stage returns and raises stands there."""

    site: Site
    settings: StageSettings

    def pull(
        self,
        run: Run,
        *,
        group: Sequence[Relation] | None = None,
        accept_deletions: bool = False,
        accept_time: bool = False,
    ) -> PullResult:
        """``run`` must hold the puller's lease."""
        site = self.site
        return pull(
            run,
            site.source,
            site.relations,
            group=group,
            accept_deletions=accept_deletions,
            accept_time=accept_time,
        )

    def facts(self, run: Run) -> BelievedFacts:
        """All believed facts, as the ledger has them now."""
        with run.ledger.read() as tx:
            return believed_facts(tx, self.site.framed, self.site.base.fingerprint)

    def probe(
        self, writer: Writer, facts: BelievedFacts | None = None, *, group: Sequence[Relation] | None = None
    ) -> ProbeResult:
        """Judge ``facts`` (None: those of ``group``, or of all relations, that have no verdict yet)."""
        names = None if group is None else {relation.name for relation in group}
        run, relations = writer.run, [r for r in self.site.framed if names is None or r.name in names]
        if facts is None:
            with run.ledger.read() as tx:
                facts = unjudged_facts(tx, relations, self.site.base.fingerprint)
        return probe(run, self.site.base, facts, relations, answer_tokens=self.settings.answer_tokens)

    def tune(
        self,
        writer: Writer,
        facts: BelievedFacts | None = None,
        *,
        budget: timedelta | None = None,
        units: int | None = None,
    ) -> TuneResult:
        """Find a recipe, also where there is one, within ``budget`` (None: the configured one) or ``units``."""
        site, settings, tuning = self.site, self.settings, self.site.tuning
        return tune(
            writer,
            self.facts(writer.run) if facts is None else facts,
            site.base,
            site.artifacts,
            tuning if budget is None else replace(tuning, budget=budget),
            TuneSettings(
                plan=settings.plan,
                gate=settings.gate,
                evaluation=settings.evaluation,
                answer_tokens=settings.answer_tokens,
            ),
            units=units,
        )

    def plan(self, writer: Writer, facts: BelievedFacts | None = None) -> PlanResult:
        """Plan with ``facts`` (None: those that the ledger has now, of which a page is in memory at once)."""
        site, policy = self.site, self.settings.plan
        if facts is not None:
            return plan(writer.run, facts, site.recipe, policy)
        with writer.run.ledger.read() as tx:
            return plan(writer.run, LedgerFacts(tx, site.framed, site.base.fingerprint), site.recipe, policy)

    def draft(self, writer: Writer, facts: BelievedFacts) -> PlanResult:
        """What would be planned with the recipe that every search starts from; recorded nowhere."""
        drafted = draft(writer.run, facts, self.site.tuning.start, self.settings.plan)
        return PlanResult(plan_hash=content_hash(drafted), plan=drafted, already=True)

    def edit(self, writer: Writer, plan_hash: str) -> EditResult:
        return edit(writer.run, plan_hash, self.site.recipe, self.site.editor(), self.site.store)

    def forecast_edit(self, writer: Writer, plan_hash: str) -> EditResult:
        return forecast_edit(writer.run, plan_hash, self.site.store)

    def measurement(self, run: Run, facts: BelievedFacts | None = None) -> Measurement:
        """What versions are measured with, on ``facts`` (None: those that the ledger has now)."""
        return Measurement(
            base=self.site.base,
            artifacts=self.site.artifacts,
            facts=self.facts(run) if facts is None else facts,
            size=self.settings.evaluation,
            answer_tokens=self.settings.answer_tokens,
            held_out=self.site.held_out,
            neutral=self.site.neutral,
            work=run.work,
            served_as=self.site.served_as,
        )

    def evaluate(
        self, writer: Writer, number: int, measurement: Measurement | None = None, *, again: bool = False
    ) -> EvaluateResult:
        """Measure with ``measurement`` (None: on the facts that the ledger has now)."""
        run = writer.run
        known = self.measurement(run) if measurement is None else measurement
        return evaluate(run, number, known, self.site.store, self.settings.gate, again=again)

    def rejudge(self, writer: Writer, version: Version) -> EvaluateResult:
        return rejudge(writer.run, version, self.site.store, self.settings.gate)

    def forecast_evaluation(self, tx: NamedFactReader, planned: EditPlan, number: int = 0) -> EvaluationForecast:
        """What version ``number`` (0: the next one), built from this plan, will be asked."""
        facts = believed_facts(tx, self.site.framed, planned.base_fingerprint)
        return forecast_evaluation(planned, number, facts, self.settings.evaluation, self.settings.gate)

    def bisect(self, writer: Writer, refused: RefusedBuild, measurement: Measurement) -> BisectResult | None:
        """None where the settings want no search."""
        limits, site = self.settings.search, self.site
        # What only rounding loses is no fact's fault: it is named, and nobody is blamed.
        if limits is None or all(AS in reason.metric for reason in refused.evaluation.decision.refusals):
            return None
        builder = TrialBuilder(editor=site.editor(), recipe=site.recipe, measurement=measurement)
        return bisect(writer.run, refused, builder, site.store, self.settings.gate, limits)

    def promote(self, writer: Writer, number: int, *, override: str = "") -> MoveResult:
        return promote(writer, self.site.store, number, override=override)

    def rollback(self, writer: Writer, to: int | None = None) -> MoveResult:
        return rollback(writer, self.site.store, to)

    def canary(self, writer: Writer) -> CanaryResult:
        site, settings = self.site, self.settings
        return canary(
            writer,
            site.base,
            site.store,
            settings.canary,
            answer_tokens=settings.answer_tokens,
            served=site.canary_server,
        )
