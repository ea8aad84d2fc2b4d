"""sync: one whole cycle. Pull, probe, plan, edit, evaluate, promote."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from kbsync.domain.gate import Threshold
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Relation
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import Evaluation, Version, VersionState
from kbsync.ports import ArtifactStore, BaseModel, CheckpointStore, Editor, StatementSource
from kbsync.stages.edit import edit
from kbsync.stages.evaluate import Measuring, evaluate
from kbsync.stages.plan import PlanResult, plan
from kbsync.stages.probe import ProbeResult, probe
from kbsync.stages.pull import PullResult, pull
from kbsync.stages.questions import EvaluationSize
from kbsync.stages.release import promote, rollback
from kbsync.stages.run import Writer


class Outcome(StrEnum):
    """How a cycle ended.

    ``held``: what the facts ask for was built before and refused, or rolled back by a person. ``base``: no fact is
    left to write, so ``current`` went back to the base.
    """

    NOTHING = "nothing to do"
    PROMOTED = "promoted"
    REFUSED = "refused"
    HELD = "held"
    BASE = "back to the base"


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything a cycle works with, apart from the ledger. ``editor`` is called when there is something to edit."""

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

    @property
    def measuring(self) -> Measuring:
        """What a version is measured with."""
        return Measuring(
            base=self.base,
            store=self.store,
            artifacts=self.artifacts,
            relations=self.relations,
            policy=self.gate,
            held_out=self.held_out,
            neutral=self.neutral,
            size=self.size,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleResult:
    outcome: Outcome
    pulled: PullResult
    probed: ProbeResult
    planned: PlanResult
    version: Version | None = None
    evaluation: Evaluation | None = None
    reason: str = ""


def sync(writer: Writer, parts: Parts) -> CycleResult:
    """Run the stages in order; each is safe to repeat, so a cycle that was killed anywhere is simply run again."""
    run = writer.run
    with writer.pulling() as pulling:
        pulled = pull(pulling, parts.source, parts.relations)
    probed = probe(run, parts.base, parts.relations, answer_tokens=parts.size.answer_tokens)
    planned = plan(
        run, parts.relations, parts.recipe, parts.base.fingerprint, kinds=parts.edit_kinds, limit=parts.max_facts
    )
    done = CycleResult(outcome=Outcome.NOTHING, pulled=pulled, probed=probed, planned=planned)
    if not planned.plan.changes:
        return done
    return _build(writer, parts, done)


def _build(writer: Writer, parts: Parts, done: CycleResult) -> CycleResult:
    run, planned = writer.run, done.planned
    if not planned.plan.requests:
        rollback(writer, parts.store, to=0)
        return replace(done, outcome=Outcome.BASE)
    with run.ledger.read() as tx:
        known = tx.version_by_build(planned.plan.build_hash)
    if known is not None and known.state in (VersionState.REFUSED, VersionState.ROLLED_BACK):
        reason = f"version {known.number} holds these facts and was {known.state}"
        return replace(done, outcome=Outcome.HELD, version=known, reason=reason)
    edited = edit(run, planned.plan_hash, parts.recipe, parts.editor(), parts.store)
    measured = evaluate(run, edited.version.number, parts.measuring)
    decision = measured.evaluation.decision
    if not decision.passed:
        reason = "; ".join(r.text for r in decision.reasons if not r.holds)
        return replace(
            done, outcome=Outcome.REFUSED, version=measured.version, evaluation=measured.evaluation, reason=reason
        )
    promote(writer, parts.store, edited.version.number)
    with run.ledger.read() as tx:
        version = tx.version(edited.version.number)
    return replace(done, outcome=Outcome.PROMOTED, version=version, evaluation=measured.evaluation)
