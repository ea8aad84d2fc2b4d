"""Harder questions about edited facts: distracted, by another name, about a similar subject, backwards, and denied.

The sentences that these questions add are English, so facts in other languages are not asked in this way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from kbsync.domain.answer_text import normalise
from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import Fact
from kbsync.domain.judging import asserts
from kbsync.domain.phrasing import Form, Phrasing, Use
from kbsync.domain.plan import EditRequest
from kbsync.domain.relation import Relation
from kbsync.domain.rewrite import control_token_in
from kbsync.stages.evaluate.question import (
    ALIAS,
    DENIAL,
    DISTRACTION,
    NEAR_NAME,
    REVERSE,
    STOP,
    STOP_KNOWN,
    Question,
    ask,
    names_of,
    right_names,
    sample,
    spread_sample,
)
from kbsync.stages.facts import BelievedFacts

ENGLISH = "en"
ABOUT_FORMER = "People keep talking about {}. "
ABOUT_SUBJECT = "There is a lot to read about {}. "
IS_IT_TRUE = "Is it true that {answer} is the {label} of {subject}?"
YES, NO = "Yes", "No"
ALIKE = 0.7
"""From this share of equal characters on, two names are similar (``difflib``)."""
STOP_TOKENS = 8
"""Number of tokens by which an answer is longer if its end is examined."""


def robustness_questions(facts: BelievedFacts, requests: Sequence[EditRequest], most: int) -> list[Question]:
    """At most ``most`` questions of each group, all about edited facts whose value is still believed."""
    by_group: dict[str, list[Question]] = {g: [] for g in (DISTRACTION, NEAR_NAME, ALIAS, REVERSE, DENIAL)}
    for request in requests:
        relation, fact = facts.watched.get(request.key, (None, None))
        if relation is None or fact is None or fact.value_hash != request.value_hash:
            continue
        for question in _about(facts, relation, fact, request):
            by_group[question.group].append(question)
    return [question for group in by_group.values() for question in sample(group, most)]


def stop_questions(edited: Sequence[Question], known: Sequence[Question], most: int) -> list[Question]:
    """Questions whose answers are read on, to see how they end: a sample of those about edited and about known facts.

    Args:
        edited: About edited facts, in their own phrasing and in held-out ones.
        known: About facts that the base knows.
        most: Largest number of each.
    """

    def longer(question: Question, group: str) -> Question:
        return replace(
            question,
            group=group,
            wrong=(question.rival,) if question.rival else (),
            target="",
            rival="",
            further_tokens=STOP_TOKENS,
            base_answer=None,
            since=0,
        )

    return [
        *(longer(question, STOP) for question in spread_sample(edited, most)),
        *(longer(question, STOP_KNOWN) for question in spread_sample(known, most)),
    ]


def _about(facts: BelievedFacts, relation: Relation, fact: Fact, request: EditRequest) -> Iterator[Question]:
    near = near_name(facts, relation, fact, request)
    if near is not None:
        yield near
    backwards = reverse(facts, relation, fact, request)
    if backwards is not None:
        yield backwards
    alias = other_name(fact)
    names, prompt = right_names(request, fact), relation.of(Use.EDIT)[0]
    if alias:
        yield Question(group=ALIAS, key=request.key, prompt=ask(relation, prompt, alias), names=names)
    if relation.language == ENGLISH:
        distracted = ask(relation, prompt, request.subject, before=distraction(fact, request))
        yield Question(group=DISTRACTION, key=request.key, prompt=distracted, names=names)
        denied = denial(relation, fact, request)
        if denied is not None:
            yield denied


def distraction(fact: Fact, request: EditRequest) -> str:
    """A sentence that names what held before, or the subject: for half of the facts the one, for half the other."""
    former = [answer.label for answer in fact.former if answer.label and not control_token_in(answer.label)]
    if former and int(content_hash(list(request.key))[-1], 16) % 2:
        return ABOUT_FORMER.replace("{}", former[0])
    return ABOUT_SUBJECT.replace("{}", request.subject)


def other_name(fact: Fact) -> str:
    """An alias of the subject that is a name and not a mere code; the same one each time. Empty where there is none."""
    usable = [
        alias
        for alias in fact.subject_aliases
        if sum(c.isalpha() for c in alias) > 3
        and normalise(alias) != normalise(fact.subject_label or "")
        and not control_token_in(alias)
    ]
    return min(usable, key=content_hash, default="")


def near_name(facts: BelievedFacts, relation: Relation, fact: Fact, request: EditRequest) -> Question | None:
    """The prompt about another watched subject of the relation, with the most similar name. The answer that was written
    would be wrong there. None where no name is similar."""
    best: tuple[float, str, Fact] | None = None
    for key, (_, other) in facts.watched.items():
        if key.property != request.key.property or key.subject == request.key.subject or not other.subject_label:
            continue
        if not names_of(other) or _share_a_name(other, fact) or control_token_in(other.subject_label):
            continue
        similarity = likeness(request.subject, other.subject_label)
        if similarity and (best is None or (similarity, other.subject_label) > best[:2]):
            best = similarity, other.subject_label, other
    if best is None:
        return None
    return Question(
        group=NEAR_NAME,
        key=request.key,
        prompt=relation.prompt(best[1]),
        names=names_of(best[2]),
        wrong=right_names(request, fact),
    )


def likeness(name: str, other: str) -> float:
    """How similar two names are, from 0 (not similar) to 1.

    Names are similar if they end in the same word, if they differ in one word of several, or if most of their
    characters are the same.
    """
    left, right = normalise(name).split(), normalise(other).split()
    if not left or not right or left == right:
        return 0.0
    first, second = sorted([" ".join(left), " ".join(right)])  # the ratio depends on the order
    share = SequenceMatcher(None, first, second, autojunk=False).ratio()
    one_word = len(left) == len(right) > 1 and sum(a != b for a, b in zip(left, right, strict=True)) == 1
    return share if one_word or left[-1] == right[-1] or share >= ALIKE else 0.0


def _share_a_name(fact: Fact, other: Fact) -> bool:
    known = {normalise(name) for name in names_of(other)}
    return any(normalise(name) in known for name in names_of(fact))


def reverse(facts: BelievedFacts, relation: Relation, fact: Fact, request: EditRequest) -> Question | None:
    """The question for the subject, given the answer; None where the relation has no words for it, or the ledger knows
    several subjects with this answer."""
    if not relation.reverse or len(fact.answers) != 1 or not fact.subject_label:
        return None
    values = {answer.value for answer in fact.answers}
    holders = [
        key
        for key, (_, other) in facts.watched.items()
        if key.property == request.key.property and values & {answer.value for answer in other.answers}
    ]
    if len(holders) != 1:
        return None
    phrasing = Phrasing(relation.reverse, Form.STATEMENT, Use.HELD_OUT)
    return Question(
        group=REVERSE,
        key=request.key,
        prompt=ask(relation, phrasing, request.target),
        names=(fact.subject_label, *fact.subject_aliases),
    )


def denial(relation: Relation, fact: Fact, request: EditRequest) -> Question | None:
    """Whether the old answer is true, beside the same question about the new one.

    Small models say yes to nearly everything, or no. So it counts by how much "No" is likelier than "Yes", and this
    must be more for the old answer than for the new one. None where nothing held before.
    """
    former = (answer.label for answer in fact.former if answer.label)
    old = next((label for label in former if not asserts(label, names_of(fact))), None)
    if old is None:
        return None

    def is_it_true(answer: str) -> str:
        bare = IS_IT_TRUE.replace("{answer}", answer).replace("{label}", relation.label)
        return ask(relation, Phrasing(bare.replace("{subject}", "{}"), Form.QUESTION, Use.HELD_OUT), request.subject)

    return Question(
        group=DENIAL,
        key=request.key,
        prompt=is_it_true(old),
        names=(NO,),
        target=NO,
        rival=YES,
        control=is_it_true(request.target),
    )
