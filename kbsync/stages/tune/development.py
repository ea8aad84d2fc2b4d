"""Development facts: what recipes are compared on. No version is ever measured on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil

from kbsync.domain.answer_text import normalise
from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.domain.fact import FactKey
from kbsync.domain.gate import Action, Threshold
from kbsync.domain.judging import asserts
from kbsync.domain.plan import OVER_LIMIT, EditPlan, EditRequest, Guard
from kbsync.domain.recipe import Recipe
from kbsync.domain.verdict import Verdict, VerdictKind
from kbsync.ports import TracedFact
from kbsync.stages.evaluate.question import ask
from kbsync.stages.facts import BelievedFacts, WatchedFact
from kbsync.stages.judged import JudgedFact
from kbsync.stages.plan import guard_of, request_of

FEWEST = 10
"""Facts that the base knows and that may be used, below which nothing is searched: four are written, two guarded and
four asked."""
UNKNOWN_SHARE = 3
"""At most one written fact in so many is one that the base does not know."""
TRACED = 24
"""At most so many facts are traced."""
SPARE = 1.1
"""So many times the samples that the gate demands of the specificity are left to it: a few facts may drop out."""
_WRONG = (VerdictKind.SHAKY, VerdictKind.STALE, VerdictKind.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Development:
    """Facts on which recipes are compared: some are written, some guarded, the rest asked before and after."""

    facts: BelievedFacts
    """All of them, with their verdicts."""
    requests: tuple[EditRequest, ...]
    """What may be written, in a fixed order of which a trial takes the first ones: facts that the base knows with
    another answer than theirs, and facts that it does not know as they are."""
    guards: tuple[Guard, ...]
    traced: tuple[TracedFact, ...]
    """What is traced: facts that the base gives the answer of."""
    known: int
    """The number of those that the base knows."""

    def first(self, count: int) -> tuple[EditRequest, ...]:
        """What a trial of this size writes, by key."""
        return tuple(sorted(self.requests[:count], key=lambda request: request.key))

    def asked_beside(self, requests: Sequence[EditRequest]) -> BelievedFacts:
        """The facts that such a trial may ask about: those that it writes, and those that are never written."""
        left_out = {request.key for request in self.requests} - {request.key for request in requests}
        watched = {key: fact for key, fact in self.facts.watched.items() if key not in left_out}
        return replace(self.facts, watched=watched)


def choose_development(
    facts: BelievedFacts, planned: EditPlan, recipe: Recipe, asked: Collection[str] = ()
) -> Development:
    """Choose the development facts: the same facts and verdicts give the same choice.

    Of the facts that the base knows, those are taken that the next version's edit guards: the gate asks about the
    others. Of the facts that it does not know, those are taken that this version has no room for, or that are shaky:
    what a plan refuses for another reason may be wrong, or can't be written. A fact whose prompts the gate asks for
    another reason (as a near name) is left out.

    Args:
        facts: All believed facts with their verdicts.
        planned: The plan of the next version.
        recipe: Says in which phrasings facts are written.
        asked: The prompts that the gate will ask.

    Raises:
        DataError: The base knows too few of the facts.
    """
    written = {request.key for request in planned.requests}
    held_back = {refusal.key for refusal in planned.refused if not refusal.reason.startswith(OVER_LIMIT)}
    free = {key for key, watched in facts.watched.items() if not _prompts(watched) & set(asked)}
    known = _ranked(g.key for g in planned.guards if g.key in free and _is_known(facts.verdicts[g.key]))
    if len(known) < FEWEST:
        more = 2 * (FEWEST - len(known))
        raise DataError(
            f"No recipe can be searched for: the base knows {len(known)} of the facts that may be used for it, and "
            f"{FEWEST} are needed.",
            kept="The facts and the verdicts are kept; the base stays as it is.",
            next_step=f"Watch some {more} more facts that the base knows (half of them may be used), or name a recipe "
            "in [edit].",
        )
    unknown = _ranked(k for k in free - written - held_back if facts.verdicts[k].kind in _WRONG)
    places = {key: place % 5 for place, key in enumerate(known)}
    others = _other_answers(facts, known)
    counterfactual = [
        replace(_request(facts, key, recipe), target=target, value_hash=content_hash([target]))
        for key in known
        if places[key] < 2 and (target := others.get(key))
    ]
    chosen = {*known, *unknown}
    return Development(
        facts=replace(facts, watched={key: watched for key, watched in facts.watched.items() if key in chosen}),
        requests=_mixed(counterfactual, [_request(facts, key, recipe) for key in unknown]),
        guards=tuple(guard_of(_judged(facts, key), recipe) for key in known if places[key] == 2),
        traced=tuple(_traced(facts.watched[key], facts.verdicts[key]) for key in known)[:TRACED],
        known=len(known),
    )


def most_guards(facts: BelievedFacts, gate: Sequence[Threshold]) -> int:
    """How many of the facts that the base knows may be guarded, so that enough of them are left for the gate to ask.

    An edit guards half of them, and on a small site the other half may be fewer than the gate demands. A search needs
    ``FEWEST`` in any case.
    """
    known = sum(_is_known(verdict) for verdict in facts.verdicts.values())
    demanded = (t.min_samples for t in gate if t.metric == "specificity" and t.action is Action.REFUSE)
    return max(FEWEST, known - ceil(SPARE * max(demanded, default=0)))


def _prompts(watched: WatchedFact) -> set[str]:
    """Everything that may be asked about a fact."""
    relation, fact = watched
    subject = fact.subject_label or ""
    return {relation.prompt(subject), *(ask(relation, phrasing, subject) for phrasing in relation.phrasings)}


def _is_known(verdict: Verdict) -> bool:
    return verdict.kind is VerdictKind.CURRENT and verdict.evidence.right_after_prompt


def _ranked(keys: Iterable[FactKey]) -> list[FactKey]:
    return sorted(keys, key=lambda key: content_hash(["development", *key]))


def _request(facts: BelievedFacts, key: FactKey, recipe: Recipe) -> EditRequest:
    return request_of(_judged(facts, key), recipe)


def _judged(facts: BelievedFacts, key: FactKey) -> JudgedFact:
    return JudgedFact(*facts.watched[key], facts.verdicts[key])


def _other_answers(facts: BelievedFacts, known: Sequence[FactKey]) -> Mapping[FactKey, str]:
    """For each fact the label of another one's answer of the same relation; none where all have the same answer."""
    by_relation: dict[str, list[FactKey]] = defaultdict(list)
    for key in known:
        by_relation[facts.watched[key].relation.name].append(key)
    chosen = {}
    for group in by_relation.values():
        labels = list(dict.fromkeys(label for key in group if (label := facts.watched[key].fact.answers[0].label)))
        for place, key in enumerate(group):
            names = [name for answer in facts.watched[key].fact.answers for name in answer.names]
            turned = labels[place % len(labels) :] + labels[: place % len(labels)] if labels else []
            others = (label for label in turned if normalise(label) and not asserts(label, names))
            if other := next(others, None):
                chosen[key] = other
    return chosen


def _mixed(counterfactual: Sequence[EditRequest], unknown: Sequence[EditRequest]) -> tuple[EditRequest, ...]:
    """Both in turn, so that the first ones of any number are of both kinds."""
    mixed, rest = [], list(unknown)
    for place, request in enumerate(counterfactual, 1):
        mixed.append(request)
        if rest and place % (UNKNOWN_SHARE - 1) == 0:
            mixed.append(rest.pop(0))
    return tuple(mixed)


def _traced(watched: WatchedFact, verdict: Verdict) -> TracedFact:
    relation, fact = watched
    answer = verdict.evidence.matched or fact.answers[0].label or ""
    return TracedFact(relation.prompt_template, fact.subject_label or "", answer)
