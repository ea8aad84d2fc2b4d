"""After a refusal: find the facts to blame by halving the batch, and put them into quarantine with the evidence.

Target vectors are kept, so a trial build costs the solve and the figures that failed, and nothing else is measured. No
trial is stored, and none touches ``current``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kbsync.domain.bisect import Limits, find_culprits
from kbsync.domain.errors import EditError
from kbsync.domain.gate import Threshold
from kbsync.domain.plan import Change, EditPlan, EditRequest
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import Evaluation, Version
from kbsync.ports import Editor
from kbsync.stages.evaluate.evaluate import Before, Measuring, Trial, measure, version_before
from kbsync.stages.session import Run

TOLD = 200
"""Trials that the audit event holds at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BisectResult:
    """``culprits`` are in quarantine. ``why`` says why the search was given up (empty: it was not); then nothing is."""

    culprits: tuple[EditRequest, ...]
    builds: int
    why: str


@dataclass(frozen=True, slots=True)
class _Trial:
    facts: int
    passed: bool
    reasons: tuple[str, ...]


class _Judge:
    """Builds and measures a part of the batch against the thresholds that the whole failed."""

    def __init__(
        self, run: Run, planned: EditPlan, recipe: Recipe, editor: Editor, measuring: Measuring, before: Before
    ) -> None:
        self._run, self._planned, self._recipe = run, planned, recipe
        self._editor, self._measuring, self._before = editor, measuring, before
        self.trials: list[_Trial] = []

    def passes(self, requests: Sequence[EditRequest]) -> bool:
        reasons = self._failures(requests)
        self.trials.append(_Trial(len(requests), not reasons, reasons))
        self._run.work.advance()
        return not reasons

    def _failures(self, requests: Sequence[EditRequest]) -> tuple[str, ...]:
        try:
            made = self._editor.edit(requests, self._recipe, self._run.work, guards=self._planned.guards)
        except EditError as error:
            return (error.what,)
        trial = Trial(self._planned.requests, frozenset(t.metric for t in self._measuring.policy))
        measured = measure(
            self._run, self._measuring, made.delta, requests, self._planned.guards, {}, 0, self._before, trial=trial
        )
        return tuple(r.text for r in measured.decision(self._measuring.policy).refusals)


def bisect(
    run: Run,
    planned: EditPlan,
    version: Version,
    refused: Evaluation,
    recipe: Recipe,
    editor: Editor,
    measuring: Measuring,
    limits: Limits,
) -> BisectResult:
    """Search the refused ``version`` for culprits. What current holds already is trusted as long as it passes alone; of
    the new facts those whose own edit did not take are taken in last, so that they carry the blame."""
    trying = replace(measuring, policy=tuple(_eased(measuring.policy, refused)))
    before = version_before(run, measuring, version)
    judge = _Judge(run, planned, recipe, editor, trying, before)
    run.work.start("bisect", None)
    kept = [e.request for e in planned.entries if e.request and e.change is Change.KEEP]
    wrong = {(o.subject, o.property) for o in refused.outcomes if o.group == "edited" and not o.right}
    new = [e.request for e in planned.entries if e.request and e.change is not Change.KEEP]
    blame = find_culprits(kept, sorted(new, key=lambda r: (tuple(r.key) in wrong, r.key)), judge.passes, limits)
    run.work.finish(f"{blame.builds} trial builds")
    culprits = () if blame.why else blame.culprits
    _record(run, version, refused, culprits, judge.trials, blame.why)
    return BisectResult(culprits=culprits, builds=blame.builds, why=blame.why)


def _eased(policy: Sequence[Threshold], refused: Evaluation) -> list[Threshold]:
    """The thresholds that the batch failed. A part of it has fewer neighbours, which is nobody's fault."""
    failed = {r.metric for r in refused.decision.refusals}
    known = [replace(t, min_samples=1, optional=True) for t in policy if t.metric in failed]
    return known or [replace(t, min_samples=1, optional=True) for t in policy]


def _record(
    run: Run,
    version: Version,
    refused: Evaluation,
    culprits: Sequence[EditRequest],
    trials: Sequence[_Trial],
    why: str,
) -> None:
    now = run.clock.now()
    reasons = "; ".join(r.text for r in refused.decision.refusals)
    told = f"version {version.number} was refused ({reasons}); without the culprits the rest of its batch passes"
    with run.ledger.write() as tx:
        for request in culprits:
            reason = f"{request.target!r} for {request.subject!r}: {told} ({len(trials)} trial builds)"
            tx.set_quarantine(request.key, request.value_hash, reason, now)
        body = {
            "version": version.number,
            "culprits": {str(r.key): r.target for r in culprits},
            "given_up": why,
            "trials": [{"facts": t.facts, "passed": t.passed, "reasons": list(t.reasons)} for t in trials[:TOLD]],
        }
        tx.append_audit("bisect", run.actor, body, now)
