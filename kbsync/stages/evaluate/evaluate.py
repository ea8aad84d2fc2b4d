"""evaluate: measure a candidate against its base and the version before, and let the gate decide.

Every figure is measured on the same prompts for all three; ``docs/reference/gate.md`` lists them. Answers are greedy
continuations, matched against label and aliases; edited facts and their paraphrases are scored teacher-forced, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import EditError, ModelError, NotFound, StoreError
from kbsync.domain.fact import FactKey
from kbsync.domain.fluency import ngram_entropy, repetition
from kbsync.domain.gate import GateDecision, Metric, Reason, Threshold, decide
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.verdict import match_names
from kbsync.domain.version import Evaluation, Outcome, Version, VersionState
from kbsync.ports import ArtifactStore, BaseModel, CheckpointStore, Delta, Perplexity
from kbsync.stages.evaluate.figures import mean_metric, needed, shares
from kbsync.stages.evaluate.questions import EDITED, UNTOUCHED, EvaluationSize, Question, cohorts, questions
from kbsync.stages.evaluate.replies import Identity, Replies, Reply
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.session import Run

TEXTUAL = frozenset({"fluency", "repetition"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measuring:
    """What a version is measured with. ``held_out`` texts give the perplexity, ``neutral`` prompts the divergence."""

    base: BaseModel
    store: CheckpointStore
    artifacts: ArtifactStore
    facts: BelievedFacts
    policy: Sequence[Threshold]
    held_out: Sequence[str]
    neutral: Sequence[str] = ()
    size: EvaluationSize = field(default_factory=EvaluationSize)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateResult:
    """``already``: it was measured before, and not again. ``judged_anew``: the policy is another since, and the figures
    of before were judged by it."""

    version: Version
    evaluation: Evaluation
    already: bool
    judged_anew: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Figures of one delta. ``broken`` says why the edited model could not be asked at all (empty: it could)."""

    metrics: tuple[Metric, ...]
    outcomes: tuple[Outcome, ...] = ()
    norm_growth: Mapping[str, float] = field(default_factory=dict)
    broken: str = ""

    def decision(self, policy: Sequence[Threshold]) -> GateDecision:
        """What the gate says of it, with every reason."""
        if not self.broken:
            return decide(self.metrics, policy)
        return GateDecision(passed=False, reasons=(Reason(metric="finite", holds=False, text=self.broken),))


@dataclass(frozen=True, slots=True)
class Trial:
    """Measure a part of a ``batch`` for the figures ``only``, on the neighbours of the whole batch: a fact that is left
    out would otherwise take what it damaged out of sight."""

    batch: Sequence[EditRequest]
    only: Collection[str]


@dataclass(frozen=True, slots=True)
class Before:
    """The version before (0: the base), its weights where they are stored, and what it is known to have said."""

    number: int = 0
    delta: Delta | None = None
    evaluation: Evaluation | None = None


def evaluate(run: Run, number: int, measuring: Measuring, *, again: bool = False) -> EvaluateResult:
    """Measure version ``number`` and record the gate's decision; an evaluated version is only measured ``again``
    when asked to. Where the policy is another than the one it was judged by, its figures are judged anew.

    Raises ``NotFound`` for a version that is not built.
    """
    with run.ledger.read() as tx:
        version, known = tx.version(number), tx.evaluation(number)
    if version is None or version.version_hash is None:
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    # A refused version that is a candidate again was made one by a person who let a fact out of quarantine.
    reopened = known is not None and version.state is VersionState.CANDIDATE and not known.decision.passed
    if known is not None and not again and not reopened:
        return _known(run, measuring, version, known)
    manifest, delta = measuring.store.read(version.version_hash)
    before = version_before(run, measuring, version)
    with run.ledger.read() as tx:
        since = cohorts(tx, version, manifest.requests)
    measured = measure(run, measuring, delta, manifest.requests, manifest.guards, since, version.number, before)
    evaluation = Evaluation(
        version=number,
        metrics=measured.metrics,
        decision=measured.decision(measuring.policy),
        outcomes=measured.outcomes,
        at=run.clock.now(),
        norm_growth=dict(measured.norm_growth),
        previous=before.number,
        policy=content_hash(list(measuring.policy)),
    )
    return EvaluateResult(
        version=_record(run, measuring.store, version, evaluation), evaluation=evaluation, already=False
    )


def _known(run: Run, measuring: Measuring, version: Version, known: Evaluation) -> EvaluateResult:
    """What was measured before, judged by the policy as it is now. A model that could not be asked stays refused."""
    policy = measuring.policy
    judged_by = content_hash(list(policy))
    if known.policy == judged_by or not known.metrics:
        return EvaluateResult(version=version, evaluation=known, already=True)
    judged = replace(known, decision=decide(known.metrics, policy), policy=judged_by)
    return EvaluateResult(
        version=_record(run, measuring.store, version, judged), evaluation=judged, already=True, judged_anew=True
    )


def measure(
    run: Run,
    measuring: Measuring,
    delta: Delta,
    requests: Sequence[EditRequest],
    guards: Sequence[Guard],
    since: Mapping[FactKey, int],
    number: int,
    before: Before,
    *,
    trial: Trial | None = None,
) -> Measured:
    """All figures of ``delta``, which holds ``requests``; a ``trial`` measures less.

    A model that gives no finite numbers is broken, not an error.
    """
    only = trial.only if trial else None
    base, size = measuring.base, measuring.size
    asked = questions(measuring.facts, trial.batch if trial else requests, guards, size, since)
    if trial:
        held = {r.key for r in requests}
        groups = needed(trial.only)
        asked = [q for q in asked if q.group in groups and (q.key in held or q.group in UNTOUCHED)]
    prompts = _subjects(requests, size.texts)
    reference = Replies(base.language_model(), size, run.work, "base", artifacts=measuring.artifacts)
    base_said, base_language = reference.to(asked, verdicts=True), _language(reference, measuring, prompts, only)
    neutral = reference.next_tokens(measuring.neutral) if base_language.neutral else []
    try:
        with base.edited(delta) as model:
            candidate = Replies(model, size, run.work, "candidate")
            said, language = candidate.to(asked), _language(candidate, measuring, prompts, only)
            drift = candidate.divergence(measuring.neutral, neutral) if neutral else []
        grown = base.norm_growth(delta)
    except (ModelError, EditError) as error:
        return Measured(metrics=(), broken=f"the edited model can't be asked: {error.what}")
    metrics = _language_figures(language, base_language, drift, before)
    previous = _ask_before(run, measuring, before, asked)
    outcomes = tuple(map(_outcome, asked, base_said, said, previous))
    growth = Metric(name="norm_growth", value=max(grown.values(), default=0.0), base=0.0, samples=max(1, len(grown)))
    last = {m.name: m.value for m in before.evaluation.metrics} if before.evaluation else {}
    growth = replace(growth, previous=last.get("norm_growth"))
    return Measured(metrics=(*shares(outcomes, number), *metrics, growth), outcomes=outcomes, norm_growth=grown)


def version_before(run: Run, measuring: Measuring, version: Version) -> Before:
    """The version before, without weights where they are not stored any more or damaged."""
    with run.ledger.read() as tx:
        found = tx.version(version.predecessor) if version.predecessor else None
        evaluation = tx.evaluation(version.predecessor) if found else None
    if found is None or found.base_fingerprint != version.base_fingerprint:
        return Before()
    try:
        delta = measuring.store.read(found.version_hash or "")[1]
    except (NotFound, StoreError):
        delta = None
    return Before(found.number, delta, evaluation)


def _ask_before(run: Run, measuring: Measuring, before: Before, asked: Sequence[Question]) -> Sequence[Reply | None]:
    """What the version before says; only what its own evaluation does not hold is asked of it."""
    if before.delta is None:
        return [None] * len(asked)
    known = {_identity(o): Reply(o.answer, o.score) for o in (before.evaluation.outcomes if before.evaluation else ())}
    with measuring.base.edited(before.delta) as model:
        return Replies(model, measuring.size, run.work, "the version before", known=known).to(asked)


@dataclass(frozen=True, slots=True)
class _Language:
    """What one model does with language as a whole. ``perplexity`` with its tokens, None where it was not asked for;
    ``neutral``: whether the divergence is."""

    perplexity: Perplexity | None
    texts: list[str]
    neutral: bool


def _language(
    replies: Replies, measuring: Measuring, prompts: Sequence[str], only: Collection[str] | None
) -> _Language:
    """To be asked while the weights of ``replies`` are in place."""
    textual = only is None or not TEXTUAL.isdisjoint(only)
    return _Language(
        perplexity=replies.perplexity(measuring.held_out) if only is None or "perplexity" in only else None,
        texts=replies.texts(prompts) if prompts and textual else [],
        neutral=bool(measuring.neutral) and (only is None or "divergence" in only),
    )


def _language_figures(ours: _Language, base: _Language, drift: Sequence[float], before: Before) -> Iterator[Metric]:
    """Perplexity, divergence, fluency, repetition, each beside that of the version before."""
    last = {m.name: m for m in before.evaluation.metrics} if before.evaluation else {}
    if ours.perplexity and base.perplexity:
        known = last.get("perplexity")
        previous = known.value if known and known.base == base.perplexity.value else None
        yield Metric(
            name="perplexity",
            value=ours.perplexity.value,
            base=base.perplexity.value,
            samples=ours.perplexity.tokens,
            previous=previous,
        )
    found = [
        ("divergence", drift, [0.0] * len(drift)),
        ("fluency", [ngram_entropy(t) for t in ours.texts], [ngram_entropy(t) for t in base.texts]),
        ("repetition", [repetition(t) for t in ours.texts], [repetition(t) for t in base.texts]),
    ]
    for name, values, bases in found:
        known = last.get(name)
        metric = mean_metric(name, values, bases, previous=known.value if known else None)
        if metric is not None:
            yield metric


def _subjects(requests: Sequence[EditRequest], count: int) -> list[str]:
    """Prompts that begin a text about an edited subject, a sample drawn by hash."""
    names = sorted({r.subject for r in requests}, key=content_hash)
    return [f"{name} is" for name in sorted(names[:count])]


def _identity(outcome: Outcome) -> Identity:
    key = FactKey(ItemId(outcome.subject), PropertyId(outcome.property))
    scored = outcome.score is not None
    return outcome.group, tuple(key), outcome.prompt, scored, outcome.expected


def _outcome(question: Question, base: Reply, ours: Reply, before: Reply | None) -> Outcome:
    return Outcome(
        group=question.group,
        subject=question.key.subject,
        property=question.key.property,
        prompt=question.prompt,
        expected=question.names[0],
        base_answer=base.answer,
        answer=ours.answer,
        base_right=match_names(base.answer, question.names) is not None,
        right=match_names(ours.answer, question.names) is not None,
        since=question.since if question.group == EDITED else 0,
        score=ours.score,
        base_score=base.score,
        previous_answer=before.answer if before else None,
        previous_right=match_names(before.answer, question.names) is not None if before else None,
        previous_score=before.score if before else None,
    )


def _record(run: Run, store: CheckpointStore, version: Version, evaluation: Evaluation) -> Version:
    """The file first: a kill in between leaves a version that is measured again, and never one that is judged without its
    file."""
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
