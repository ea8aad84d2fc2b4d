"""evaluate: measure a candidate against its base, and let the gate decide.

Four figures, each for base and candidate on the same prompts. Answers are greedy continuations, matched against
label and aliases:

- ``efficacy``: edited facts answered rightly on the prompt that was edited;
- ``generalization``: the same on paraphrases that the edit never saw;
- ``specificity``: neighbours, which the base has right and which must stay right: facts that share the relation or
  the subject with an edited one;
- ``perplexity``: on held-out text.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import NotFound
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.gate import Metric, Threshold, decide
from kbsync.domain.plan import EditRequest
from kbsync.domain.relation import Relation, fill
from kbsync.domain.verdict import VerdictKind, match_names
from kbsync.domain.version import Evaluation, Manifest, Outcome, Version, VersionState
from kbsync.ports import BaseModel, CheckpointStore, LanguageModel, Progress
from kbsync.stages.facts import believed_facts
from kbsync.stages.probe import verdict_key
from kbsync.stages.run import Run

EXPLODED = 1e30


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSize:
    """How much is asked: at most so many paraphrase and neighbour prompts, answers of so many tokens."""

    paraphrases: int = 200
    neighbours: int = 200
    answer_tokens: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateResult:
    version: Version
    evaluation: Evaluation
    already: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    group: str
    key: FactKey
    prompt: str
    names: tuple[str, ...]
    base_answer: str | None = None
    """The base's answer where a verdict holds it already."""


def evaluate(
    run: Run,
    number: int,
    base: BaseModel,
    store: CheckpointStore,
    relations: Sequence[Relation],
    policy: Sequence[Threshold],
    held_out: Sequence[str],
    size: EvaluationSize,
    *,
    again: bool = False,
) -> EvaluateResult:
    """Measure version ``number`` and record the gate's decision; an evaluated version is only measured ``again``
    when asked to. Raises ``NotFound`` for a version that is not built."""
    with run.ledger.read() as tx:
        version, known = tx.version(number), tx.evaluation(number)
    if version is None or version.version_hash is None:
        raise NotFound(f"Version {number} is not built.", next_step="`kbsync versions` lists what there is.")
    if known is not None and not again:
        return EvaluateResult(version=version, evaluation=known, already=True)
    manifest, delta = store.read(version.version_hash)
    questions = _questions(run, manifest, relations, base.fingerprint, size, version.build_hash)
    before = _ask(base.language_model(), questions, held_out, size, run.progress, "base")
    with base.edited(delta) as candidate:
        after = _ask(candidate, questions, held_out, size, run.progress, "candidate")
    outcomes = tuple(
        _outcome(q, old, new) for q, old, new in zip(questions, before.answers, after.answers, strict=True)
    )
    metrics = (*_accuracies(outcomes), _perplexity(before, after))
    now = run.clock.now()
    decision = decide(metrics, policy)
    evaluation = Evaluation(version=number, metrics=metrics, decision=decision, outcomes=outcomes, at=now)
    return EvaluateResult(version=_record(run, version, evaluation), evaluation=evaluation, already=False)


def _record(run: Run, version: Version, evaluation: Evaluation) -> Version:
    with run.ledger.write() as tx:
        tx.record_evaluation(evaluation)
        if not evaluation.decision.passed and version.state is VersionState.CANDIDATE:
            tx.set_version_state(version.number, VersionState.REFUSED)
        body = {
            "version": version.number,
            "passed": evaluation.decision.passed,
            "reasons": [r.text for r in evaluation.decision.reasons],
            "metrics": {m.name: {"value": m.value, "base": m.base, "samples": m.samples} for m in evaluation.metrics},
        }
        tx.append_audit("evaluate", run.actor, body, evaluation.at)
        return tx.version(version.number) or version


@dataclass(frozen=True, slots=True)
class _Answers:
    answers: list[str]
    perplexity: float
    tokens: int


def _ask(
    model: LanguageModel,
    questions: Sequence[_Question],
    held_out: Sequence[str],
    size: EvaluationSize,
    progress: Progress,
    who: str,
) -> _Answers:
    """All answers of one model; the base is not asked again what its verdicts already say."""
    known = [q.base_answer if who == "base" else None for q in questions]
    open_prompts = [q.prompt for q, answer in zip(questions, known, strict=True) if answer is None]
    progress.start(f"evaluate {who}", len(open_prompts))
    said = iter(model.complete(open_prompts, max_new_tokens=size.answer_tokens, progress=progress))
    progress.finish()
    answers = [next(said) if answer is None else answer for answer in known]
    progress.start(f"perplexity of {who}", None)
    perplexity, tokens = model.perplexity(held_out, progress=progress)
    progress.finish()
    return _Answers(answers, perplexity, tokens)


def _questions(
    run: Run,
    manifest: Manifest,
    relations: Sequence[Relation],
    fingerprint: str,
    size: EvaluationSize,
    salt: str,
) -> list[_Question]:
    """Edited prompts (all), paraphrases and neighbours (samples drawn by hash, the same for the same version).

    Guarded facts are no neighbours: the edit was told of them.
    """
    requests = manifest.requests
    with run.ledger.read() as tx:
        facts = {fact.key: (relation, fact) for relation, fact in believed_facts(tx, relations)}
        verdicts = tx.verdicts(fingerprint)
    edited, paraphrases, neighbours = [], [], []
    for request in requests:
        relation, fact = facts.get(request.key, (None, None))
        names = _names(request, fact)
        prompt = fill(request.template, request.subject)
        edited.append(
            _Question(group="edited", key=request.key, prompt=prompt, names=names, base_answer=request.base_answer)
        )
        for template in relation.templates[1:] if relation else ():
            prompt = fill(template, request.subject)
            paraphrases.append(_Question(group="paraphrase", key=request.key, prompt=prompt, names=names))
    told = {r.key for r in requests} | {g.key for g in manifest.guards}
    properties, subjects = {r.key.property for r in requests}, {r.key.subject for r in requests}
    for key, (relation, fact) in facts.items():
        verdict = verdicts.get(verdict_key(relation, fact, fingerprint))
        near = key.property in properties or key.subject in subjects
        if key in told or not near or verdict is None or verdict.kind is not VerdictKind.CURRENT:
            continue
        evidence = verdict.evidence
        names = tuple(name for answer in fact.answers for name in answer.names)
        neighbours.append(
            _Question(group="neighbour", key=key, prompt=evidence.prompt, names=names, base_answer=evidence.greedy)
        )
    return edited + _sample(paraphrases, size.paraphrases, salt) + _sample(neighbours, size.neighbours, salt)


def _names(request: EditRequest, fact: Fact | None) -> tuple[str, ...]:
    """What counts as right; where the ledger has moved on since, the target as it was written."""
    if fact is not None and fact.value_hash == request.value_hash:
        return tuple(name for answer in fact.answers for name in answer.names)
    return (request.target,)


def _sample(questions: Iterable[_Question], count: int, salt: str) -> list[_Question]:
    ranked = sorted(questions, key=lambda q: content_hash([salt, list(q.key), q.prompt]))
    return sorted(ranked[:count], key=lambda q: (q.key, q.prompt))


def _outcome(question: _Question, old: str, new: str) -> Outcome:
    return Outcome(
        group=question.group,
        subject=question.key.subject,
        property=question.key.property,
        prompt=question.prompt,
        expected=question.names[0],
        base_answer=old,
        answer=new,
        base_right=match_names(old, question.names) is not None,
        right=match_names(new, question.names) is not None,
    )


_GROUP_METRIC = {"edited": "efficacy", "paraphrase": "generalization", "neighbour": "specificity"}


def _accuracies(outcomes: Sequence[Outcome]) -> list[Metric]:
    groups: dict[str, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        groups[outcome.group].append(outcome)
    return [
        Metric(
            name=metric,
            value=sum(o.right for o in groups[group]) / len(groups[group]),
            base=sum(o.base_right for o in groups[group]) / len(groups[group]),
            samples=len(groups[group]),
        )
        for group, metric in _GROUP_METRIC.items()
        if groups[group]
    ]


def _perplexity(before: _Answers, after: _Answers) -> Metric:
    # A candidate that explodes has no finite perplexity, and a record must hold a number that no policy admits.
    value = after.perplexity if math.isfinite(after.perplexity) else EXPLODED
    return Metric(name="perplexity", value=value, base=before.perplexity, samples=after.tokens)
