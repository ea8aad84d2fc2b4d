"""sync: one whole cycle. Pull, probe, plan, edit, evaluate, promote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum

from kbsync.domain.bisect import Limits
from kbsync.domain.fact import FactKey
from kbsync.domain.gate import Threshold, short_of_samples
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Relation
from kbsync.domain.suspicion import Suspicion
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import Evaluation, Version, VersionState
from kbsync.ports import ArtifactStore, BaseModel, CheckpointStore, Editor, StatementSource
from kbsync.stages.edit import edit
from kbsync.stages.evaluate.evaluate import Measuring, evaluate
from kbsync.stages.evaluate.questions import EvaluationSize
from kbsync.stages.facts import BelievedFacts, believed_facts
from kbsync.stages.plan import PlanResult, plan
from kbsync.stages.probe import ProbeResult, probe
from kbsync.stages.pull.pull import PullResult, pull
from kbsync.stages.release.bisect import BisectResult, bisect
from kbsync.stages.release.promote import promote, rollback
from kbsync.stages.release.refusals import rest
from kbsync.stages.session import Run, Writer


class Outcome(StrEnum):
    """How a cycle ended.

    ``held``: what the facts ask for was built before and refused, or rolled back; or the next build waits after refusals
    in a row. ``base``: no fact is left to write, so ``current`` went back to the base. ``planned``: of a
    rehearsal, which ends before the edit.
    """

    NOTHING = "nothing to do"
    PROMOTED = "promoted"
    REFUSED = "refused"
    HELD = "held"
    BASE = "back to the base"
    PLANNED = "planned"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a cycle works with, apart from the ledger. ``editor`` is called when there is something to edit.

    ``limits`` of the search for culprits in a refused batch (None: no search); ``pause`` after two refusals in a row.
    """

    source: StatementSource
    relations: Sequence[Relation]
    base: BaseModel
    recipe: Recipe
    editor: Callable[[], Editor]
    store: CheckpointStore
    gate: Sequence[Threshold]
    held_out: Sequence[str]
    size: EvaluationSize
    edit_kinds: frozenset[VerdictKind]
    max_facts: int
    artifacts: ArtifactStore
    neutral: Sequence[str] = ()
    limits: Limits | None = field(default_factory=Limits)
    pause: timedelta = timedelta(hours=6)
    suspicion: Suspicion | None = None

    def measuring(self, facts: BelievedFacts) -> Measuring:
        """What a version is measured with."""
        return Measuring(
            base=self.base,
            store=self.store,
            artifacts=self.artifacts,
            facts=facts,
            policy=self.gate,
            held_out=self.held_out,
            neutral=self.neutral,
            size=self.size,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    """``quarantined``: culprits of a refused version, without which the cycle went on to ``version``."""

    outcome: Outcome
    pulled: PullResult
    probed: ProbeResult
    planned: PlanResult
    version: Version | None = None
    evaluation: Evaluation | None = None
    reason: str = ""
    quarantined: tuple[FactKey, ...] = ()


def sync(writer: Writer, parts: Parts) -> CycleResult:
    """Run the stages in order; each is safe to repeat, so a cycle that was killed anywhere is simply run again."""
    done, facts = _until_plan(writer, parts)
    return _build(writer, parts, facts, done) if done.planned.plan.changes else done


def rehearse(writer: Writer, parts: Parts) -> CycleResult:
    """The stages before the edit: pull, probe, plan."""
    return _until_plan(writer, parts)[0]


def _until_plan(writer: Writer, parts: Parts) -> tuple[CycleResult, BelievedFacts]:
    """With the facts, for the stages that follow."""
    run = writer.run
    with writer.pulling() as pulling:
        pulled = pull(pulling, parts.source, parts.relations)
    with run.ledger.read() as tx:
        facts = believed_facts(tx, parts.relations, parts.base.fingerprint)
    probed = probe(run, parts.base, facts, parts.relations, answer_tokens=parts.size.answer_tokens)
    if probed.asked:
        with run.ledger.read() as tx:
            facts = facts.judged(tx)
    planned = _plan(run, parts, facts)
    outcome = Outcome.PLANNED if planned.plan.changes else Outcome.NOTHING
    return CycleResult(outcome=outcome, pulled=pulled, probed=probed, planned=planned), facts


def _build(writer: Writer, parts: Parts, facts: BelievedFacts, done: CycleResult) -> CycleResult:
    run, planned = writer.run, done.planned
    if not planned.plan.requests:
        rollback(writer, parts.store, to=0)
        return replace(done, outcome=Outcome.BASE)
    with run.ledger.read() as tx:
        known = tx.version_by_build(planned.plan.build_hash)
        rests = rest(tx, parts.pause)
    if known is not None and known.state is VersionState.REFUSED:
        known = evaluate(run, known.number, parts.measuring(facts)).version  # judged anew where the policy changed
    if known is not None and known.state in (VersionState.REFUSED, VersionState.ROLLED_BACK):
        reason = f"version {known.number} holds these facts and was {known.state}"
        return replace(done, outcome=Outcome.HELD, version=known, reason=reason)
    built = known is not None and known.state is VersionState.CANDIDATE
    if not built and rests.at is not None and run.clock.now() < rests.at:
        reason = f"{rests.refusals} refusals in a row; the next build waits until {rests.at:%Y-%m-%d %H:%M} UTC"
        return replace(done, outcome=Outcome.HELD, reason=reason)
    first = _try(writer, parts, facts, done)
    if first.outcome is not Outcome.REFUSED:
        return first
    found = _search(run, parts, facts, first)
    if found is None or not found.culprits:
        given_up = f"; not single facts are to blame: {found.why}" if found else ""
        return _refuse(run, parts, replace(first, reason=first.reason + given_up))
    again = replace(done, planned=_plan(run, parts, facts), quarantined=tuple(r.key for r in found.culprits))
    if not again.planned.plan.changes or not again.planned.plan.requests:
        return _refuse(run, parts, replace(again, outcome=Outcome.REFUSED, version=first.version, reason=first.reason))
    second = _try(writer, parts, facts, again)
    return second if second.outcome is Outcome.PROMOTED else _refuse(run, parts, second)


def _plan(run: Run, parts: Parts, facts: BelievedFacts) -> PlanResult:
    return plan(
        run,
        facts,
        parts.recipe,
        kinds=parts.edit_kinds,
        limit=parts.max_facts,
        suspicion=parts.suspicion,
    )


def _try(writer: Writer, parts: Parts, facts: BelievedFacts, done: CycleResult) -> CycleResult:
    """Build what is planned, measure it, and promote it if the gate lets it."""
    run = writer.run
    edited = edit(run, done.planned.plan_hash, parts.recipe, parts.editor(), parts.store)
    measured = evaluate(run, edited.version.number, parts.measuring(facts))
    decision = measured.evaluation.decision
    if not decision.passed:
        reason = "; ".join(r.text for r in decision.refusals)
        return replace(
            done, outcome=Outcome.REFUSED, version=measured.version, evaluation=measured.evaluation, reason=reason
        )
    promote(writer, parts.store, edited.version.number)
    with run.ledger.read() as tx:
        version = tx.version(edited.version.number)
    return replace(done, outcome=Outcome.PROMOTED, version=version, evaluation=measured.evaluation)


def _search(run: Run, parts: Parts, facts: BelievedFacts, refused: CycleResult) -> BisectResult | None:
    """Who is to blame; None where nobody is to look, a batch of one has nothing to halve, or too little was asked to tell
    (of facts that are left out nothing more can be asked)."""
    if parts.limits is None or refused.version is None or refused.evaluation is None:
        return None
    planned = refused.planned.plan
    if len(planned.requests) < 2 or short_of_samples(refused.evaluation.metrics, parts.gate):
        return None
    return bisect(
        run,
        planned,
        refused.version,
        refused.evaluation,
        parts.recipe,
        parts.editor(),
        parts.measuring(facts),
        parts.limits,
    )


def _refuse(run: Run, parts: Parts, refused: CycleResult) -> CycleResult:
    """Put the refusal on record: the next ones count from it, and wait."""
    now = run.clock.now()
    with run.ledger.write() as tx:
        count = rest(tx, parts.pause).refusals + 1
        version = refused.version.number if refused.version else None
        body = {"version": version, "in_a_row": count, "reason": refused.reason}
        tx.append_audit("refuse", run.actor, body, now)
    return refused
