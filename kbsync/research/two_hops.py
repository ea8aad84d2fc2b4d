"""Two-hop questions whose hops a model knows, and other objects for their subjects, which it can be taught."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kbsync.domain.answer_text import normalise
from kbsync.domain.canonical import content_hash
from kbsync.domain.consequence import two_hop_relations
from kbsync.domain.fact import Answer, Fact, FactKey
from kbsync.domain.statement import ItemId
from kbsync.domain.verdict import VerdictKind
from kbsync.stages.consequences import Consequence, consequences
from kbsync.stages.evaluate.question import names_of
from kbsync.stages.facts import BelievedFacts, WatchedFact
from kbsync.stages.judged import JudgedFact


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Subjects that are edited together."""

    facts: BelievedFacts
    """What the base knows, with another object for each of the subjects."""
    subjects: frozenset[FactKey]
    """The facts that have another object, which the base does not say."""
    asked: Mapping[FactKey, Consequence]
    """The second hops that are asked for."""


def known_facts(facts: BelievedFacts) -> BelievedFacts:
    """The facts that the base has right."""
    verdicts = facts.verdicts
    right = [k for k in facts.watched if k in verdicts and verdicts[k].kind is VerdictKind.CURRENT]
    return replace(facts, watched={key: facts.watched[key] for key in right})


def followed(facts: BelievedFacts, causes: Iterable[FactKey]) -> dict[FactKey, Consequence]:
    """What follows from some of the facts, by its key."""
    return consequences(facts.some(causes), facts).following


def choose_parts(
    known: BelievedFacts, real: Mapping[FactKey, Consequence], questions: int, together: int
) -> list[Part]:
    """Draw other objects for the subjects by hash, until there are enough questions.

    The objects are answers that the base knows of other subjects of the relation. What has the same answer with the
    other object is not asked.

    Args:
        known: The facts that the base has right.
        real: What follows from them as they are.
        questions: So many second hops are asked for, or a few more, if there are so many.
        together: The most subjects that are edited together.
    """
    others = _other_objects(known)
    parts, count = list[Part](), 0
    for turn in range(max(map(len, others.values()), default=0)):
        changed = {key: _with_object(known, key, own[turn]) for key, own in others.items() if turn < len(own)}
        found = consequences({key: JudgedFact(*one, None) for key, one in changed.items()}, known).following
        asked = {key: one for key, one in found.items() if not _same_answer(one, real.get(key))}
        causes = {one.follows_from[0] for one in asked.values()}
        for group in _together([key for key in changed if key in causes], together):
            if count >= questions:
                return parts
            parts.append(_part(known, {key: changed[key] for key in group}, asked))
            count += len(parts[-1].asked)
    return parts


def _together(subjects: Sequence[FactKey], most: int) -> Iterator[Sequence[FactKey]]:
    """Groups of one property each, since what is edited beside a fact may be the second hop of another relation."""
    for first in dict.fromkeys(key.property for key in subjects):
        own = [key for key in subjects if key.property == first]
        yield from (own[start : start + most] for start in range(0, len(own), most))


def _part(known: BelievedFacts, changed: Mapping[FactKey, WatchedFact], asked: Mapping[FactKey, Consequence]) -> Part:
    verdicts = {key: replace(known.verdicts[key], kind=VerdictKind.UNKNOWN) for key in changed}
    facts = replace(known, watched={**known.watched, **changed}, verdicts={**known.verdicts, **verdicts})
    own = {key: one for key, one in asked.items() if one.follows_from[0] in changed}
    return Part(facts=facts, subjects=frozenset(changed), asked=own)


def _other_objects(known: BelievedFacts) -> dict[FactKey, list[Answer]]:
    """The objects that each first hop may have instead, in the order of their hashes."""
    implied = two_hop_relations(known.relations)
    others: dict[FactKey, list[Answer]] = {}
    for first in {asked.hops[0].property: None for asked in implied}:
        seconds = [second.property for one, second in (asked.hops for asked in implied) if one.property == first]
        facts = [fact for key, (_, fact) in known.watched.items() if key.property == first and len(fact.answers) == 1]
        objects = {fact.answers[0].value.text: fact.answers[0] for fact in facts}
        useful = [item for item in objects if any(FactKey(ItemId(item), p) in known.watched for p in seconds)]
        for fact in facts:
            own = [item for item in useful if item != fact.answers[0].value.text]
            own.sort(key=lambda item: content_hash([*fact.key, item]))
            others[fact.key] = [objects[item] for item in own]
    return {key: others[key] for key in sorted(others, key=lambda key: content_hash(list(key)))}


def _with_object(known: BelievedFacts, key: FactKey, answer: Answer) -> WatchedFact:
    """The fact with another answer, which no statement says."""
    relation, fact = known.watched[key]
    state = replace(fact.state, values=(answer.value,), former=(), statement_ids=())
    return WatchedFact(relation, replace(fact, answers=(answer,), former=(), state=state))


def _same_answer(one: Consequence, other: Consequence | None) -> bool:
    return other is not None and not _names(one.judged.fact).isdisjoint(_names(other.judged.fact))


def _names(fact: Fact) -> set[str]:
    return set(map(normalise, names_of(fact)))
