"""What a version is asked: edited prompts, paraphrases, neighbours, second hops.

Samples are drawn by hash: the same version is always asked the same, and versions that share facts share prompts, so
they can be compared prompt by prompt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.judging import asserts
from kbsync.domain.phrasing import Form, Use, fill
from kbsync.domain.plan import EditRequest, Guard
from kbsync.domain.statement import ItemId, ValueKind
from kbsync.domain.verdict import VerdictKind, normalise
from kbsync.domain.version import Version
from kbsync.ports import VersionReader
from kbsync.stages.facts import BelievedFacts, WatchedFact

EDITED, PARAPHRASE, NEIGHBOUR, SUBJECT, OTHER, HOP = "edited", "paraphrase", "neighbour", "subject", "other", "hop"
UNTOUCHED = (NEIGHBOUR, SUBJECT, OTHER)
"""Groups of facts that the base has right and that the edit has nothing to do with, from the nearest to the
farthest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSize:
    """How much an evaluation asks."""

    paraphrases: int = 200
    """At most so many paraphrases of edited prompts."""
    neighbours: int = 200
    """At most so many facts that are not edited."""
    enough: int = 50
    """Where fewer facts than this share the relation or the subject of an edited one, facts of others are asked,
    too."""
    hops: int = 50
    """At most so many second hops."""
    texts: int = 16
    """Texts that are sampled for fluency and repetition."""
    text_tokens: int = 60
    """The length of such a text in tokens, with its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One prompt."""

    group: str
    """One of those that ``PromptOutcome.group`` lists."""
    key: FactKey
    """The fact that it is about; for a second hop, the edited fact that it goes through."""
    prompt: str
    names: tuple[str, ...]
    """Right answers; at least one."""
    target: str = ""
    """The answer that is scored; empty: nothing is scored."""
    rival: str = ""
    """The answer that the target is compared with."""
    base_answer: str | None = None
    """The base's answer, where a verdict holds it already."""
    since: int = 0
    """As in ``PromptOutcome``."""


def questions(
    facts: BelievedFacts,
    requests: Sequence[EditRequest],
    guards: Sequence[Guard],
    size: EvaluationSize,
    first_holders: Mapping[FactKey, int],
) -> list[Question]:
    """List what a version is asked: every edited prompt, and samples of the rest.

    Args:
        facts: All believed facts with their verdicts on the base.
        requests: The facts that the version holds.
        guards: Facts that its edit guarded. They are not asked: the edit saw their prompts.
        size: How much is asked.
        first_holders: For each edited fact, the version since which it is held without a break.
    """
    edited, paraphrases = [], []
    for request in requests:
        first, *others = _edited(facts, request, first_holders.get(request.key, 0))
        edited.append(first)
        paraphrases += others
    return [
        *edited,
        *_sample(paraphrases, size.paraphrases),
        *_untouched(facts, requests, guards, size),
        *_sample(_hops(facts, requests), size.hops),
    ]


def first_holders(tx: VersionReader, version: Version, requests: Iterable[EditRequest]) -> dict[FactKey, int]:
    """For each fact the version since which it is held without a break.

    It is ``version`` itself where its predecessor does not hold the fact; else it is what the predecessor's evaluation
    says.
    """
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
    names, rival = _right_names(request, fact), _rival(request, fact)
    paraphrases = relation.templates(Use.HELD_OUT, Form.STATEMENT) if relation else ()
    for prompt in (request.prompt, *(fill(template, request.subject) for template in paraphrases)):
        is_edited = prompt == request.prompt
        yield Question(
            group=EDITED if is_edited else PARAPHRASE,
            key=request.key,
            prompt=prompt,
            names=names,
            target=request.target if rival else "",
            rival=rival,
            base_answer=request.base_answer if is_edited else None,
            since=since,
        )


def _right_names(request: EditRequest, fact: Fact | None) -> tuple[str, ...]:
    """The names of the fact's answers; where another value is believed by now, the target as it was written."""
    if fact is not None and fact.value_hash == request.value_hash:
        return _names(fact)
    return (request.target,)


def _names(fact: Fact) -> tuple[str, ...]:
    return tuple(name for answer in fact.answers for name in answer.names)


def _rival(request: EditRequest, fact: Fact | None) -> str:
    """What must be less likely than the target: what held before, or else the beginning of the base's answer."""
    former = [answer.label for answer in fact.former if answer.label] if fact else []
    words = request.base_answer.split()[: max(1, len(request.target.split()))]
    for rival in (*former, " ".join(words).strip(" .,;:!?\"'")):
        if normalise(rival) and not asserts(rival, (request.target,)):
            return rival
    return ""


def _untouched(
    facts: BelievedFacts, requests: Sequence[EditRequest], guards: Sequence[Guard], size: EvaluationSize
) -> list[Question]:
    """Facts that the base has right and that must stay so: those that share the relation or the subject of an edited
    one, and any others where these are too few to judge by."""
    seen_by_edit = {r.key for r in requests} | {g.key for g in guards}
    properties, subjects = {r.key.property for r in requests}, {r.key.subject for r in requests}
    by_group: dict[str, list[Question]] = {group: [] for group in UNTOUCHED}
    for key, (_, fact) in facts.watched.items():
        verdict = facts.verdicts.get(key)
        if key in seen_by_edit or verdict is None or verdict.kind is not VerdictKind.CURRENT:
            continue
        evidence = verdict.evidence
        if not evidence.right_after_prompt:
            continue
        group = SUBJECT if key.subject in subjects else NEIGHBOUR if key.property in properties else OTHER
        by_group[group].append(
            Question(group=group, key=key, prompt=evidence.prompt, names=_names(fact), base_answer=evidence.greedy)
        )
    same_subject = _sample(by_group[SUBJECT], size.neighbours // 2)
    same_relation = _sample(by_group[NEIGHBOUR], size.neighbours - len(same_subject))
    missing = min(size.enough, size.neighbours) - len(same_relation) - len(same_subject)
    return [*same_relation, *same_subject, *_sample(by_group[OTHER], max(0, missing))]


def _hops(facts: BelievedFacts, requests: Iterable[EditRequest]) -> Iterator[Question]:
    """Facts about the new object, asked for through the edited fact: "The place of birth of the chair of X is"."""
    by_subject: dict[ItemId, list[WatchedFact]] = {}
    for key, watched in facts.watched.items():
        by_subject.setdefault(key.subject, []).append(watched)
    for request in requests:
        relation, fact = facts.watched.get(request.key, (None, None))
        if relation is None or fact is None or fact.value_hash != request.value_hash or len(fact.answers) != 1:
            continue
        value = fact.answers[0].value
        about_object = by_subject.get(ItemId(value.text), []) if value.kind is ValueKind.ITEM else []
        for second, known in about_object:
            names = _names(known)
            if names:
                prompt = fill(second.prompt_template, f"the {relation.label} of {request.subject}")
                yield Question(group=HOP, key=request.key, prompt=prompt, names=names)


def _sample(candidates: Iterable[Question], count: int) -> list[Question]:
    """At most ``count`` questions, drawn by hash and sorted by fact."""
    ranked = sorted(candidates, key=lambda q: content_hash([list(q.key), q.prompt]))
    return sorted(ranked[:count], key=lambda q: (q.key, q.prompt))
