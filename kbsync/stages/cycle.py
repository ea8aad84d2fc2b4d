"""sync: one whole cycle. Pull, probe, tune where there is no recipe yet, plan, edit, evaluate, promote."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from kbsync.domain.fact import FactKey
from kbsync.domain.next_build import BackToBase, Held, NextStep, Nothing, Rejudge, decide, may_blame_facts
from kbsync.domain.plan import EditPlan
from kbsync.domain.version import Evaluation, Version
from kbsync.stages.binding import Stages
from kbsync.stages.evaluate.measurement import Measurement
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.plan import PlanResult
from kbsync.stages.probe import ProbeResult
from kbsync.stages.pull.pull import PullResult
from kbsync.stages.release.bisect import BisectResult, RefusedBuild
from kbsync.stages.release.refusals import refusals_in_a_row, why_refused
from kbsync.stages.session import Run, Writer
from kbsync.stages.tune.tune import TuneResult


class CycleOutcome(StrEnum):
    """How a cycle ended."""

    NOTHING = "nothing to do"
    PROMOTED = "promoted"
    REFUSED = "refused"
    HELD = "held"
    """The version that holds these facts was refused or rolled back, or the next build waits after refusals."""
    BASE = "back to the base"
    """No fact is left to write, so ``current`` went back to the base."""
    PLANNED = "planned"
    """A rehearsal, which ends before the edit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """What a cycle did, stage by stage."""

    outcome: CycleOutcome
    pulled: PullResult
    probed: ProbeResult
    planned: PlanResult
    """Where no recipe was found yet, what would be planned with the one that every search starts from."""
    tuned: TuneResult | None = None
    """The search for a recipe, where there was one."""
    version: Version | None = None
    """The version that was built, or that is held."""
    evaluation: Evaluation | None = None
    reason: str = ""
    """Why nothing was promoted."""
    quarantined: tuple[FactKey, ...] = ()
    """Culprits of a refused version, without which the cycle went on to ``version``."""


def sync(writer: Writer, stages: Stages) -> CycleResult:
    """Run the stages in order; each is safe to repeat, so a cycle that was killed anywhere is simply run again."""
    done, facts = _until_plan(writer, stages, rehearsing=False)
    if done.outcome is CycleOutcome.REFUSED:
        return done
    step = _next_step(writer.run, stages, done.planned.plan)
    if isinstance(step, Rejudge):
        stages.rejudge(writer, step.version)
        step = _next_step(writer.run, stages, done.planned.plan)
    match step:
        case Nothing():
            return done
        case BackToBase():
            stages.rollback(writer, to=0)
            return replace(done, outcome=CycleOutcome.BASE)
        case Held():
            return replace(done, outcome=CycleOutcome.HELD, version=step.version, reason=step.reason)
    return _build(writer, stages, stages.measurement(writer.run, facts), done)


def rehearse(writer: Writer, stages: Stages) -> CycleResult:
    """Run the stages before the edit: pull, probe, plan. No recipe is searched for."""
    return _until_plan(writer, stages, rehearsing=True)[0]


def _until_plan(writer: Writer, stages: Stages, *, rehearsing: bool) -> tuple[CycleResult, BelievedFacts]:
    """Returns the facts, too, for the stages that follow: they are read once a cycle."""
    with writer.pulling() as pulling:
        pulled = stages.pull(pulling)
    facts = stages.facts(writer.run)
    probed = stages.probe(writer, facts)
    if probed.asked:  # new verdicts are in the ledger now
        with writer.run.ledger.read() as tx:
            facts = facts.judged(tx)
    tuned = None
    if stages.site.known_recipe is None:
        planned = stages.draft(writer, facts)
        if planned.plan.requests and not rehearsing:
            tuned = stages.tune(writer, facts)
    if stages.site.known_recipe is not None:
        planned = stages.plan(writer, facts)
    outcome = CycleOutcome.PLANNED if planned.plan.changes else CycleOutcome.NOTHING
    done = CycleResult(outcome=outcome, pulled=pulled, probed=probed, planned=planned, tuned=tuned)
    if tuned is not None and tuned.refusal:
        return replace(done, outcome=CycleOutcome.REFUSED, reason=tuned.refusal), facts
    return done, facts


def _next_step(run: Run, stages: Stages, plan: EditPlan) -> NextStep:
    with run.ledger.read() as tx:
        known = tx.version_by_build(plan.build_hash)
        evaluation = tx.evaluation_summary(known.number) if known else None
        refusals = refusals_in_a_row(tx)
    settings = stages.settings
    return decide(plan, known, evaluation, refusals, policy=settings.gate, pause=settings.pause, now=run.clock.now())


def _build(writer: Writer, stages: Stages, measurement: Measurement, done: CycleResult) -> CycleResult:
    """Build what is planned; where the gate refuses it, once more without the culprits."""
    first = _try(writer, stages, measurement, done)
    if first.outcome is not CycleOutcome.REFUSED:
        return first
    search = _search(writer, stages, measurement, first)
    if search is None or not search.culprits:
        given_up = f"; not single facts are to blame: {search.why}" if search else ""
        return _refuse(writer.run, replace(first, reason=first.reason + given_up))
    planned = stages.plan(writer, measurement.facts)
    again = replace(done, planned=planned, quarantined=tuple(r.key for r in search.culprits))
    if not planned.plan.changes or not planned.plan.requests:
        refused = replace(again, outcome=CycleOutcome.REFUSED, version=first.version, reason=first.reason)
        return _refuse(writer.run, refused)
    second = _try(writer, stages, measurement, again)
    return second if second.outcome is CycleOutcome.PROMOTED else _refuse(writer.run, second)


def _try(writer: Writer, stages: Stages, measurement: Measurement, done: CycleResult) -> CycleResult:
    """Build what is planned, measure it, and promote it if the gate lets it."""
    edited = stages.edit(writer, done.planned.plan_hash)
    number = edited.version.number
    evaluated = stages.evaluate(writer, number, measurement)
    evaluation = evaluated.evaluation
    if not evaluation.decision.passed:
        with writer.run.ledger.read() as tx:
            reason = why_refused(tx, evaluated.version, evaluation)
        refused = CycleOutcome.REFUSED
        return replace(done, outcome=refused, version=evaluated.version, evaluation=evaluation, reason=reason)
    stages.promote(writer, number)
    with writer.run.ledger.read() as tx:
        version = tx.version(number)
    return replace(done, outcome=CycleOutcome.PROMOTED, version=version, evaluation=evaluation)


def _search(writer: Writer, stages: Stages, measurement: Measurement, refused: CycleResult) -> BisectResult | None:
    """Search for culprits; None where no single fact can be to blame, or nobody searches."""
    plan, version, evaluation = refused.planned.plan, refused.version, refused.evaluation
    if version is None or evaluation is None or not may_blame_facts(plan, evaluation, stages.settings.gate):
        return None
    return stages.bisect(writer, RefusedBuild(plan=plan, version=version, evaluation=evaluation), measurement)


def _refuse(run: Run, refused: CycleResult) -> CycleResult:
    """Put the refusal on record: the wait of the next builds is counted from it."""
    now = run.clock.now()
    with run.ledger.write() as tx:
        count = refusals_in_a_row(tx).in_a_row + 1
        version = refused.version.number if refused.version else None
        body = {"version": version, "in_a_row": count, "reason": refused.reason}
        tx.append_audit("refuse", run.actor, body, now)
    return refused
