"""What a version is asked: edited prompts, paraphrases, neighbours, second hops.

Samples are drawn by hash, so that the same version is always asked the same, and versions that share facts share
prompts and can be compared prompt by prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.relation import fill
from kbsync.domain.statement import ItemId, ValueKind
from kbsync.domain.verdict import VerdictKind, match_names, normalise
from kbsync.domain.version import Version
from kbsync.ports import LedgerReader
from kbsync.stages.facts import BelievedFacts, WatchedFact

EDITED, PARAPHRASE, NEIGHBOUR, SUBJECT, OTHER, HOP = "edited", "paraphrase", "neighbour", "subject", "other", "hop"
UNTOUCHED = (NEIGHBOUR, SUBJECT, OTHER)
"""Facts that the base has right and that the edit has nothing to do with, from the nearest to the farthest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSize:
    """How much is asked: at most so many paraphrase, neighbour and second-hop prompts,
    ``texts`` sampled texts of ``text_tokens`` tokens (prompt included). Where fewer than ``enough`` facts lie near the
    edited ones, facts of other relations are asked, too."""

    paraphrases: int = 200
    neighbours: int = 200
    enough: int = 50
    hops: int = 50
    texts: int = 16
    text_tokens: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One prompt. ``names`` are right answers; ``target`` is scored against ``rival`` (empty: not scored);
    ``base_answer`` is the base's where a verdict holds it already; ``since`` as in ``PromptOutcome``."""

    group: str
    key: FactKey
    prompt: str
    names: tuple[str, ...]
    target: str = ""
    rival: str = ""
    base_answer: str | None = None
    since: int = 0


def questions(
    facts: BelievedFacts,
    requests: Sequence[EditRequest],
    guards: Sequence[Guard],
    size: EvaluationSize,
    first_holders: Mapping[FactKey, int],
) -> list[Question]:
    """All edited prompts, and samples of the rest. ``first_holders``: the version since which
    a fact is held without a break.

    Guarded facts are no neighbours: the edit was told of them.
    """
    edited, paraphrases = [], []
    for request in requests:
        made = list(_edited(facts, request, first_holders.get(request.key, 0)))
        edited.append(made[0])
        paraphrases += made[1:]
    return [
        *edited,
        *_sample(paraphrases, size.paraphrases),
        *untouched(facts, requests, guards, size),
        *_sample(_hops(facts, requests), size.hops),
    ]


def first_holders(tx: LedgerReader, version: Version, requests: Iterable[EditRequest]) -> dict[FactKey, int]:
    """The version that held each fact first: this one, or what the evaluation of the one before says."""
    before = tx.version(version.predecessor) if version.predecessor else None
    planned = tx.plan(before.plan_hash) if before else None
    evaluation = tx.evaluation(before.number) if before else None
    held = {(r.key, r.value_hash) for r in planned.requests} if planned else set()
    since = {(o.subject, o.property): o.since for o in evaluation.outcomes if o.since} if evaluation else {}
    return {
        r.key: since.get(r.key, version.predecessor) if (r.key, r.value_hash) in held else version.number
        for r in requests
    }


def _edited(facts: BelievedFacts, request: EditRequest, since: int) -> Iterator[Question]:
    """The prompt that was edited, then its paraphrases, which the edit never saw."""
    relation, fact = facts.watched.get(request.key, (None, None))
    names, rival = _names(request, fact), _rival(request, fact)
    first = fill(request.template, request.subject)
    for prompt in (first, *(fill(t, request.subject) for t in (relation.templates[1:] if relation else ()))):
        yield Question(
            group=EDITED if prompt == first else PARAPHRASE,
            key=request.key,
            prompt=prompt,
            names=names,
            target=request.target if rival else "",
            rival=rival,
            base_answer=request.base_answer if prompt == first else None,
            since=since,
        )


def _names(request: EditRequest, fact: Fact | None) -> tuple[str, ...]:
    """What counts as right; where the ledger has moved on since, the target as it was written."""
    if fact is not None and fact.value_hash == request.value_hash:
        return tuple(name for answer in fact.answers for name in answer.names)
    return (request.target,)


def _rival(request: EditRequest, fact: Fact | None) -> str:
    """What must be less likely than the target: what held before, or the beginning of what the base says."""
    former = [answer.label for answer in fact.former if answer.label] if fact else []
    words = request.base_answer.split()[: max(1, len(request.target.split()))]
    for rival in (*former, " ".join(words).strip(" .,;:!?\"'")):
        if normalise(rival) and match_names(rival, (request.target,)) is None:
            return rival
    return ""


def untouched(
    facts: BelievedFacts, requests: Sequence[EditRequest], guards: Sequence[Guard], size: EvaluationSize
) -> list[Question]:
    """Facts that the base has right and that must stay so: of the same relations and the same subjects as the edited
    ones, and any others where these are too few to judge by."""
    told = {r.key for r in requests} | {g.key for g in guards}
    properties, subjects = {r.key.property for r in requests}, {r.key.subject for r in requests}
    found: dict[str, list[Question]] = {group: [] for group in UNTOUCHED}
    for key, (_, fact) in facts.watched.items():
        verdict = facts.verdicts.get(key)
        if key in told or verdict is None or verdict.kind is not VerdictKind.CURRENT:
            continue
        group = SUBJECT if key.subject in subjects else NEIGHBOUR if key.property in properties else OTHER
        names = tuple(name for answer in fact.answers for name in answer.names)
        evidence = verdict.evidence
        asked = Question(group=group, key=key, prompt=evidence.prompt, names=names, base_answer=evidence.greedy)
        found[group].append(asked)
    near = _sample(found[SUBJECT], size.neighbours // 2)
    same = _sample(found[NEIGHBOUR], size.neighbours - len(near))
    missing = min(size.enough, size.neighbours) - len(same) - len(near)
    return [*same, *near, *_sample(found[OTHER], max(0, missing))]


def _hops(facts: BelievedFacts, requests: Iterable[EditRequest]) -> Iterator[Question]:
    """Facts about the new object, asked for through the edited fact: "The place of birth of the chair of X is"."""
    by_subject: dict[ItemId, list[WatchedFact]] = {}
    for key, found in facts.watched.items():
        by_subject.setdefault(key.subject, []).append(found)
    for request in requests:
        relation, fact = facts.watched.get(request.key, (None, None))
        if relation is None or fact is None or fact.value_hash != request.value_hash or len(fact.answers) != 1:
            continue
        value = fact.answers[0].value
        for second, known in by_subject.get(ItemId(value.text), []) if value.kind is ValueKind.ITEM else []:
            names = tuple(name for answer in known.answers for name in answer.names)
            if names:
                prompt = fill(second.templates[0], f"the {relation.label} of {request.subject}")
                yield Question(group=HOP, key=request.key, prompt=prompt, names=names)


def _sample(asked: Iterable[Question], count: int) -> list[Question]:
    ranked = sorted(asked, key=lambda q: content_hash([list(q.key), q.prompt]))
    return sorted(ranked[:count], key=lambda q: (q.key, q.prompt))
