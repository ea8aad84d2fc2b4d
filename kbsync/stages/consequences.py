"""What follows from edited facts: found when a plan is made and when a version is measured, and stored nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from kbsync.domain.consequence import two_hop_relations
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.plan import EditRequest
from kbsync.domain.relation import Cardinality, Relation
from kbsync.domain.statement import ItemId, ValueKind
from kbsync.domain.verdict import VerdictKind, ambiguity
from kbsync.stages.facts import BelievedFacts, WatchedFact
from kbsync.stages.judged import JudgedFact, JudgedFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Consequence:
    """A fact about a subject that no statement says: two facts do."""

    judged: JudgedFact
    """Asked in two hops; without a verdict, since the base is not asked about it."""
    follows_from: tuple[FactKey, FactKey]
    """The fact about the subject, and the one about its object."""


@dataclass(frozen=True, slots=True)
class Found:
    """What follows, and what does not."""

    following: dict[FactKey, Consequence] = field(default_factory=dict)
    why_not: dict[FactKey, str] = field(default_factory=dict)


def consequences(
    causes: Mapping[FactKey, JudgedFact], facts: JudgedFacts, against: Mapping[FactKey, str] | None = None
) -> Found:
    """What follows from facts that are written.

    Nothing follows from a consequence, so that relations may imply one another in a circle.

    Args:
        causes: The facts that are written.
        facts: All believed facts.
        against: Why facts may not be repeated: they are in quarantine, excluded or suspect.
    """
    if not causes:
        return Found()
    found, wanted = Found(), list[tuple[FactKey, Fact, Relation, FactKey]]()
    for asked in two_hop_relations(facts.relations):
        first, second = asked.hops
        for cause, (_, fact, _) in causes.items():
            if cause.property != first.property:
                continue
            key, item = FactKey(cause.subject, asked.property), _object(fact)
            if item is None:
                found.why_not[key] = f"{cause} has not one item as its answer"
            else:
                wanted.append((key, fact, asked, FactKey(item, second.property)))
    told = facts.some({about_object for *_, about_object in wanted})
    for key, fact, asked, about_object in wanted:
        repeated = _repeated(key, fact, asked, told.get(about_object))
        reason = repeated if isinstance(repeated, str) else (against or {}).get(about_object, "")
        if isinstance(repeated, str) or reason:
            found.why_not[key] = f"{about_object}: {reason}"
        else:
            judged = JudgedFact(asked, repeated, None)
            found.following[key] = Consequence(judged=judged, follows_from=(fact.key, about_object))
    return found


def with_consequences(facts: BelievedFacts, requests: Iterable[EditRequest]) -> BelievedFacts:
    """The facts with those consequences among ``requests`` that follow today from what is believed."""
    causes = {request.follows_from[0] for request in requests if request.follows_from}
    if not causes:
        return facts
    found = consequences(facts.some(causes), facts).following
    watched = {key: WatchedFact(one.judged.relation, one.judged.fact) for key, one in found.items()}
    return replace(facts, watched={**facts.watched, **watched})


def _object(fact: Fact) -> ItemId | None:
    """The only answer of a fact, if it is an item."""
    values = [answer.value for answer in fact.answers]
    return ItemId(values[0].text) if len(values) == 1 and values[0].kind is ValueKind.ITEM else None


def _repeated(key: FactKey, fact: Fact, asked: Relation, told: JudgedFact | None) -> Fact | str:
    """What is believed of the object, as a fact about the subject; or why it can't be one."""
    if told is None:
        return "nothing is believed"
    if told.verdict is not None and told.verdict.kind is VerdictKind.AMBIGUOUS:
        return told.verdict.evidence.reason
    if any(answer.value.text == key.subject for answer in told.fact.answers):
        return "the answer is the subject itself"
    repeated = replace(
        told.fact, key=key, subject_label=fact.subject_label, subject_aliases=fact.subject_aliases, former=()
    )
    return ambiguity(repeated, single=asked.cardinality is not Cardinality.SET) or repeated
