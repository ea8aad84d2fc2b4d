"""evaluate: measure a candidate against its base and the version before, and let the gate decide.

Every figure is measured on the same prompts for all three; ``docs/explanation/release.md`` lists them. Answers are
greedy continuations, matched against label and aliases; edited facts and their paraphrases are scored teacher-forced,
too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.domain.errors import NotFound
from kbsync.domain.gate import Threshold, policy_hash
from kbsync.domain.version import Evaluation, Version, VersionState
from kbsync.ports import CheckpointStore
from kbsync.stages.evaluate.measurement import Measures
from kbsync.stages.evaluate.predecessor import read_predecessor
from kbsync.stages.session import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateResult:
    """What the evaluation of a version came to."""

    version: Version
    evaluation: Evaluation
    already: bool
    """It was measured before, and not again."""
    judged_anew: bool = False
    """The policy has changed since, and the figures of before were judged by the new one."""


def evaluate(
    run: Run,
    number: int,
    measurement: Measures,
    store: CheckpointStore,
    policy: Sequence[Threshold],
    *,
    again: bool = False,
) -> EvaluateResult:
    """Measure version ``number`` and record the gate's decision.

    An evaluated version is measured again only where that is asked for (``again``). Where the policy is another than
    the one that it was judged by, its figures are judged anew.

    Raises:
        NotFound: The version is not built.
    """
    with run.ledger.read() as tx:
        version, known = tx.version(number), tx.evaluation(number)
    if version is None or version.version_hash is None:
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    # A refused version that is a candidate again was made one by a person who let a fact out of quarantine.
    reopened = known is not None and version.state is VersionState.CANDIDATE and not known.decision.passed
    if known is not None and not again and not reopened:
        return _judged_anew(run, store, version, known, policy)
    manifest, delta = store.read(version.version_hash)
    before = read_predecessor(run, store, version, manifest.requests)
    measured = measurement.candidate(delta, manifest, number, before)
    evaluation = Evaluation(
        version=number,
        metrics=measured.metrics,
        decision=measured.decision(policy),
        outcomes=measured.outcomes,
        at=run.clock.now(),
        norm_growth=dict(measured.norm_growth),
        previous=before.number,
        policy=policy_hash(policy),
    )
    return EvaluateResult(version=_record(run, store, version, evaluation), evaluation=evaluation, already=False)


def rejudge(run: Run, version: Version, store: CheckpointStore, policy: Sequence[Threshold]) -> EvaluateResult:
    """Judge what was measured of ``version`` by the policy as it is now; the model is not needed.

    Raises:
        NotFound: The version was never measured.
    """
    with run.ledger.read() as tx:
        known = tx.evaluation(version.number)
    if known is None:
        number = version.number
        raise NotFound(f"Version {number} was never measured.", next_step=f"`kbsync evaluate {number}` measures it.")
    return _judged_anew(run, store, version, known, policy)


def _judged_anew(
    run: Run, store: CheckpointStore, version: Version, known: Evaluation, policy: Sequence[Threshold]
) -> EvaluateResult:
    if not known.policy_changed(policy):
        return EvaluateResult(version=version, evaluation=known, already=True)
    judged = known.judged_by(policy)
    recorded = _record(run, store, version, judged)
    return EvaluateResult(version=recorded, evaluation=judged, already=True, judged_anew=True)


def _record(run: Run, store: CheckpointStore, version: Version, evaluation: Evaluation) -> Version:
    """Write the file first: a kill in between leaves a version that is measured again, never one that is judged without
    its file."""
    store.annotate(version.version_hash or "", evaluation)
    with run.ledger.write() as tx:
        tx.record_evaluation(evaluation)
        passed = evaluation.decision.passed
        if version.state in (VersionState.CANDIDATE, VersionState.REFUSED):
            tx.set_version_state(version.number, VersionState.CANDIDATE if passed else VersionState.REFUSED)
        body = {
            "version": version.number,
            "passed": passed,
            "reasons": [r.text for r in evaluation.decision.reasons],
            "metrics": {m.name: {"value": m.value, "base": m.base, "samples": m.samples} for m in evaluation.metrics},
        }
        tx.append_audit("evaluate", run.actor, body, evaluation.at)
        return tx.version(version.number) or version
