"""Facts that a person should look at before they are edited, found before any weight is touched (pure functions)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId, PropertyId

MIN_ANSWER_BYTES = 8
"""Shorter answers are not judged: the letters of an acronym surprise any model."""
MIN_OTHER_ANSWERS = 5
"""Minimum number of other answers that is needed to estimate a relation's typical surprisal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """From when on new facts are suspicious."""

    per_subject: int = 20
    """Largest number of new facts about one subject in one plan."""
    surprise: float = 4.0
    """Surprisal of an answer under the base, in nats per byte, from which on it looks like no name; letters drawn at
    random have about 4.5. An answer passes where the relation's others have half of its surprisal or more."""


class NewFact(Protocol):
    """A fact that may be suspicious."""

    @property
    def key(self) -> FactKey: ...

    @property
    def target(self) -> str:
        """Its answer."""
        ...


def suspects(new: Iterable[NewFact], logprobs: Mapping[FactKey, float], limits: Suspicion) -> dict[FactKey, str]:
    """Find the facts to leave out of a plan.

    Args:
        new: Facts that ``current`` does not hold.
        logprobs: Natural log-probability of each fact's answer under the base, summed over its tokens.
        limits: From when on facts are suspicious.

    Returns:
        The reason for each suspicious fact.
    """
    new = list(new)
    return _gibberish(new, logprobs, limits.surprise) | _floods(new, limits.per_subject)


def _floods(new: Iterable[NewFact], most: int) -> dict[FactKey, str]:
    by_subject: dict[ItemId, list[FactKey]] = defaultdict(list)
    for request in new:
        by_subject[request.key.subject].append(request.key)
    return {
        key: f"a flood: {len(keys)} new facts about {subject} at once, {most} are let through"
        for subject, keys in by_subject.items()
        if len(keys) > most
        for key in keys
    }


def _gibberish(new: Iterable[NewFact], logprobs: Mapping[FactKey, float], most: float) -> dict[FactKey, str]:
    by_relation: dict[PropertyId, dict[FactKey, float]] = defaultdict(dict)
    for request in new:
        if request.key in logprobs:
            cost = -logprobs[request.key] / max(1, len(request.target.encode()))
            by_relation[request.key.property][request.key] = cost
    ordered = {property: sorted(costs.values()) for property, costs in by_relation.items()}
    found = {}
    for request in new:
        costs = by_relation[request.key.property]
        cost = costs.get(request.key, 0.0)
        if len(request.target.encode()) < MIN_ANSWER_BYTES or cost <= most:
            continue
        others = len(costs) - 1
        usual = _median_without(ordered[request.key.property], cost) if others >= MIN_OTHER_ANSWERS else 0.0
        if cost > 2 * usual:
            found[request.key] = f"{request.target!r} looks like no name: it costs the base {cost:.1f} nats a byte" + (
                f", the relation's other new answers {usual:.1f}" if usual else ""
            )
    return found


def _median_without(ordered: Sequence[float], one: float) -> float:
    """The median of numbers that are sorted, without one of them; there are at least two."""
    place, rest = bisect_left(ordered, one), len(ordered) - 1

    def at(number: int) -> float:
        return ordered[number + (number >= place)]

    return (at((rest - 1) // 2) + at(rest // 2)) / 2
