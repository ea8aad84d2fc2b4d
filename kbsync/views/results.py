"""What the stages' results look like as data: the documents behind ``--json`` of the verbs that act."""

from __future__ import annotations

from dataclasses import dataclass

from kbsync.domain.gate import Metric
from kbsync.domain.plan import PlanEntry
from kbsync.domain.version import Evaluation
from kbsync.stages.cycle import CycleResult
from kbsync.stages.edit import EditResult
from kbsync.stages.evaluate.evaluate import EvaluateResult
from kbsync.stages.plan import PlanResult
from kbsync.stages.probe import ProbeResult
from kbsync.stages.pull.pull import PullResult


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One fact of a plan. ``answer`` is what will be written (null when retracted), ``previous`` what the current
    version holds (null when added)."""

    subject: str
    property: str
    label: str
    change: str
    answer: str | None
    previous: str | None
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalView:
    subject: str
    property: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A plan, with the facts that stay as they are. ``already``: the same plan was recorded before. ``build``
    identifies the version that it makes: (base, facts, recipe). ``warning``: it comes near the recipe's capacity, or goes
    beyond it (empty: there is room)."""

    plan: str
    build: str
    predecessor: int
    already: bool
    changes: int
    entries: tuple[EntryView, ...]
    refused: tuple[RefusalView, ...]
    warning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutView:
    fact: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditView:
    """A built version. ``left_out`` facts could not be edited and are in quarantine; ``already``: built before."""

    version: int
    hash: str | None
    state: str
    already: bool
    left_out: tuple[LeftOutView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonView:
    """One threshold of the gate. ``warning``: it refuses nothing when it does not hold."""

    holds: bool
    warning: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationView:
    """The gate's figures and decision. ``already``: measured before and not again; ``judged_anew``: by a policy that
    changed since."""

    version: int
    state: str
    passed: bool
    already: bool
    judged_anew: bool
    metrics: tuple[Metric, ...]
    reasons: tuple[ReasonView, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleView:
    """One cycle. ``outcome``: ``nothing to do``, ``promoted``, ``refused``, ``held`` (built before, and refused or
    rolled back by a person) or ``back to the base``; ``version`` and ``evaluation`` are null where none was made."""

    outcome: str
    reason: str
    pulled: PullResult
    probed: ProbeResult
    plan: PlanView
    version: int | None
    evaluation: EvaluationView | None


def plan_view(result: PlanResult) -> PlanView:
    plan = result.plan
    return PlanView(
        plan=result.plan_hash,
        build=plan.build_hash,
        predecessor=plan.predecessor,
        already=result.already,
        changes=len(plan.changes),
        entries=tuple(entry_view(entry) for entry in plan.entries),
        refused=tuple(
            RefusalView(subject=r.key.subject, property=r.key.property, reason=r.reason) for r in plan.refused
        ),
        warning=result.warning,
    )


def entry_view(entry: PlanEntry) -> EntryView:
    named = entry.request or entry.previous
    return EntryView(
        subject=entry.key.subject,
        property=entry.key.property,
        label=named.subject if named else "",
        change=entry.change.value,
        answer=entry.request.target if entry.request else None,
        previous=entry.previous.target if entry.previous else None,
        reason=entry.reason,
    )


def edit_view(result: EditResult) -> EditView:
    return EditView(
        version=result.version.number,
        hash=result.version.version_hash,
        state=result.version.state.value,
        already=result.already,
        left_out=tuple(LeftOutView(fact=str(k), reason=reason) for k, reason in sorted(result.left_out.items())),
    )


def evaluation_view(
    evaluation: Evaluation, state: str, *, already: bool = False, judged_anew: bool = False
) -> EvaluationView:
    decision = evaluation.decision
    return EvaluationView(
        version=evaluation.version,
        state=state,
        passed=decision.passed,
        already=already,
        judged_anew=judged_anew,
        metrics=evaluation.metrics,
        reasons=tuple(ReasonView(holds=r.holds, warning=r.warning, text=r.text) for r in decision.reasons),
    )


def evaluate_view(result: EvaluateResult) -> EvaluationView:
    return evaluation_view(
        result.evaluation, result.version.state.value, already=result.already, judged_anew=result.judged_anew
    )


def cycle_view(result: CycleResult) -> CycleView:
    version, evaluation = result.version, result.evaluation
    return CycleView(
        outcome=result.outcome.value,
        reason=result.reason,
        pulled=result.pulled,
        probed=result.probed,
        plan=plan_view(result.planned),
        version=version.number if version else None,
        evaluation=evaluation_view(evaluation, version.state.value) if evaluation and version else None,
    )
