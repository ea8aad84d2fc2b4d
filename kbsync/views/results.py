"""The stages' results as data: what the verbs that act print with ``--json``."""

from __future__ import annotations

from dataclasses import dataclass

from kbsync.domain.gate import Metric
from kbsync.domain.plan import PlanEntry
from kbsync.domain.version import Evaluation
from kbsync.ports import VersionReader
from kbsync.stages.cycle import CycleResult
from kbsync.stages.edit import EditResult
from kbsync.stages.evaluate.evaluate import EvaluateResult
from kbsync.stages.plan import PlanResult
from kbsync.stages.probe import ProbeResult
from kbsync.stages.pull.pull import PullResult
from kbsync.stages.release.refusals import why_refused
from kbsync.views.tuning import TuneView, tune_view


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryView:
    """One fact of a plan."""

    subject: str
    property: str
    label: str
    """The subject's name; empty where the plan has none."""
    change: str
    """`add`, `change`, `retract` or `keep`."""
    answer: str | None
    """What will be written; null when retracted."""
    previous: str | None
    """What the current version holds; null when added."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusalView:
    """A fact that the plan leaves out."""

    subject: str
    property: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A plan, with the facts that stay as they are."""

    plan: str
    """Its hash."""
    build: str
    """Identifies the version that it makes: a hash of base, facts and recipe."""
    predecessor: int
    """The version that is current now; 0: the base."""
    already: bool
    """The same plan was recorded before."""
    changes: int
    """Number of entries that do not keep a fact as it is."""
    entries: tuple[EntryView, ...]
    refused: tuple[RefusalView, ...]
    warning: str
    """Says that the plan comes near the recipe's capacity or goes beyond it; empty where there is room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOutView:
    """A planned fact that could not be edited."""

    fact: str
    """Such as `Q145 P35`."""
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EditView:
    """A built version."""

    version: int
    hash: str | None
    state: str
    already: bool
    """It was built before."""
    left_out: tuple[LeftOutView, ...]
    """Facts that could not be edited; they are in quarantine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReasonView:
    """One threshold of the gate."""

    holds: bool
    warning: bool
    """It refuses nothing when it does not hold."""
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationView:
    """The metrics of a version, and what the gate decided."""

    version: int
    state: str
    passed: bool
    already: bool
    """It was measured before, and not again."""
    judged_anew: bool
    """The stored metrics were judged again, because the gate's policy has changed."""
    metrics: tuple[Metric, ...]
    reasons: tuple[ReasonView, ...]
    why_refused: str
    """What the gate refused, and what to change in the recipe where that is known; empty where the version passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CycleView:
    """One cycle."""

    outcome: str
    """`nothing to do`, `promoted`, `refused`, `held` (built before, and refused or rolled back by a person) or `back to
    the base`."""
    reason: str
    pulled: PullResult
    probed: ProbeResult
    recipe: TuneView | None
    """The search for a recipe; null where the cycle had one."""
    plan: PlanView
    """Where there is no recipe yet, what would be planned with the one that every search starts from."""
    version: int | None
    """Null where none was made."""
    evaluation: EvaluationView | None
    """Null where none was made."""


def plan_view(result: PlanResult) -> PlanView:
    """What ``kbsync plan`` prints."""
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
    """One fact of a plan."""
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
    """What ``kbsync edit`` prints."""
    return EditView(
        version=result.version.number,
        hash=result.version.version_hash,
        state=result.version.state.value,
        already=result.already,
        left_out=tuple(LeftOutView(fact=str(k), reason=reason) for k, reason in sorted(result.left_out.items())),
    )


def evaluation_view(
    evaluation: Evaluation,
    state: str,
    *,
    already: bool = False,
    judged_anew: bool = False,
    refusal: str = "",
) -> EvaluationView:
    """The metrics and the decision of a version that is now in ``state``."""
    decision = evaluation.decision
    return EvaluationView(
        version=evaluation.version,
        state=state,
        passed=decision.passed,
        already=already,
        judged_anew=judged_anew,
        metrics=evaluation.metrics,
        reasons=tuple(ReasonView(holds=r.holds, warning=r.warning, text=r.text) for r in decision.reasons),
        why_refused=refusal,
    )


def evaluate_view(tx: VersionReader, result: EvaluateResult) -> EvaluationView:
    """What ``kbsync evaluate`` prints."""
    return evaluation_view(
        result.evaluation,
        result.version.state.value,
        already=result.already,
        judged_anew=result.judged_anew,
        refusal=why_refused(tx, result.version, result.evaluation),
    )


def cycle_view(result: CycleResult) -> CycleView:
    """What ``kbsync sync`` prints."""
    version, evaluation = result.version, result.evaluation
    return CycleView(
        outcome=result.outcome.value,
        reason=result.reason,
        pulled=result.pulled,
        probed=result.probed,
        recipe=tune_view(result.tuned) if result.tuned else None,
        plan=plan_view(result.planned),
        version=version.number if version else None,
        evaluation=evaluation_view(evaluation, version.state.value, refusal=_reason(result, evaluation))
        if evaluation and version
        else None,
    )


def _reason(result: CycleResult, evaluation: Evaluation) -> str:
    """Of a refused cycle; "" for a version that passed."""
    return "" if evaluation.decision.passed else result.reason
