"""After a refusal: find the facts to blame by halving the batch, and put them into quarantine with the evidence.

Target vectors are kept, so a trial build costs the solve and the figures that failed, and nothing else is measured. No
trial build is stored, and none touches ``current``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kbsync.domain.bisect import SearchLimits, find_culprits
from kbsync.domain.errors import EditError
from kbsync.domain.gate import Threshold
from kbsync.domain.plan import Change, EditPlan, EditRequest
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import Evaluation, Version
from kbsync.ports import CheckpointStore, Editor
from kbsync.stages.evaluate.measurement import Measurement
from kbsync.stages.evaluate.predecessor import Predecessor, read_predecessor
from kbsync.stages.evaluate.question import EDITED
from kbsync.stages.session import Run

MAX_TRIALS_IN_EVENT = 200
"""Largest number of trial builds that the audit event lists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedBuild:
    """What the gate refused."""

    plan: EditPlan
    version: Version
    evaluation: Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectResult:
    """How the search ended."""

    culprits: tuple[EditRequest, ...]
    """The facts to blame, now in quarantine."""
    builds: int
    """Trial builds that it took."""
    why: str
    """Why the search was given up, and nobody blamed; empty where it came to its end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBuild:
    """A part of the batch, built and measured."""

    facts: int
    passed: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBuilder:
    """Builds and measures parts of a refused batch."""

    editor: Editor
    recipe: Recipe
    measurement: Measurement

    def build(
        self, requests: Sequence[EditRequest], plan: EditPlan, before: Predecessor, policy: Sequence[Threshold]
    ) -> TrialBuild:
        """Build ``requests``, a part of ``plan``, and judge it by the thresholds of ``policy``."""
        try:
            edited = self.editor.edit(requests, self.recipe, self.measurement.work, guards=plan.guards)
        except EditError as error:
            return TrialBuild(facts=len(requests), passed=False, reasons=(error.what,))
        only = frozenset(threshold.metric for threshold in policy)
        measured = self.measurement.trial(edited.delta, requests, plan, before, only)
        reasons = tuple(reason.text for reason in measured.decision(policy).refusals)
        return TrialBuild(facts=len(requests), passed=not reasons, reasons=reasons)


def bisect(
    run: Run,
    refused: RefusedBuild,
    builder: TrialBuilder,
    store: CheckpointStore,
    policy: Sequence[Threshold],
    limits: SearchLimits,
) -> BisectResult:
    """Search a refused version for culprits.

    Facts that ``current`` holds already are trusted as long as they pass without the new ones. Of the new facts, those
    whose own edit did not take join last, and consequences after them, so that these carry the blame.

    Args:
        refused: The version, with its plan and its evaluation.
        store: Where the weights of the version before are.
        policy: The gate's thresholds; a trial build is judged by those that the whole batch failed.
    """
    before = read_predecessor(run, store, refused.version, refused.plan.requests)
    failed, trials = _failed(policy, refused.evaluation), list[TrialBuild]()

    def passes(requests: Sequence[EditRequest]) -> bool:
        trial = builder.build(requests, refused.plan, before, failed)
        trials.append(trial)
        run.work.advance()
        return trial.passed

    run.work.start("bisect", None)
    kept = [e.request for e in refused.plan.entries if e.request and e.change is Change.KEEP]
    new = [e.request for e in refused.plan.entries if e.request and e.change is not Change.KEEP]
    wrong = {(o.subject, o.property) for o in refused.evaluation.outcomes if o.group == EDITED and not o.right}
    new.sort(key=lambda r: (bool(r.follows_from), tuple(r.key) in wrong, r.key))
    blame = find_culprits(kept, new, passes, limits)
    run.work.finish(f"{blame.builds} trial builds")
    culprits = () if blame.why else blame.culprits
    _record(run, refused, culprits, trials, blame.why)
    return BisectResult(culprits=culprits, builds=blame.builds, why=blame.why)


def _failed(policy: Sequence[Threshold], refused: Evaluation) -> list[Threshold]:
    """The thresholds that the batch failed; a part of it has fewer neighbours, which is nobody's fault."""
    failed = {r.metric for r in refused.decision.refusals}
    chosen = [threshold for threshold in policy if threshold.metric in failed]
    return [replace(threshold, min_samples=1, optional=True) for threshold in chosen or policy]


def _record(
    run: Run, refused: RefusedBuild, culprits: Sequence[EditRequest], trials: Sequence[TrialBuild], why: str
) -> None:
    now, number = run.clock.now(), refused.version.number
    reasons = "; ".join(r.text for r in refused.evaluation.decision.refusals)
    evidence = f"version {number} was refused ({reasons}); without the culprits the rest of its batch passes"
    with run.ledger.write() as tx:
        for request in culprits:
            reason = f"{request.target!r} for {request.subject!r}: {evidence} ({len(trials)} trial builds)"
            tx.set_quarantine(request.key, request.value_hash, reason, now)
        listed = trials[:MAX_TRIALS_IN_EVENT]
        body = {
            "version": number,
            "culprits": {str(r.key): r.target for r in culprits},
            "given_up": why,
            "trials": [{"facts": t.facts, "passed": t.passed, "reasons": list(t.reasons)} for t in listed],
        }
        tx.append_audit("bisect", run.actor, body, now)
