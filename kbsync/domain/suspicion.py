"""Facts that should not be edited before a person looked at them, judged before any weight is touched (pure functions)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from kbsync.domain.fact import FactKey
from kbsync.domain.plan import EditRequest
from kbsync.domain.statement import ItemId, PropertyId

SHORTEST = 8
"""Bytes of an answer that is judged: the letters of an acronym surprise any model."""
COMPANY = 5
"""So many other answers of the relation make a measure of what is usual there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """``per_subject``: new facts about one subject in one plan; ``surprise``: nats per byte that an answer may cost the
    base (letters drawn at random cost about 4.5), unless the relation's other answers cost half of it or more."""

    per_subject: int = 20
    surprise: float = 4.0


def suspects(new: Iterable[EditRequest], logprobs: Mapping[FactKey, float], limits: Suspicion) -> dict[FactKey, str]:
    """Which of the ``new`` facts (none that current holds) to leave out, and why. ``logprobs``: natural log-probability
    of each answer under the base, summed over its tokens."""
    new = list(new)
    return _gibberish(new, logprobs, limits.surprise) | _floods(new, limits.per_subject)


def _floods(new: Iterable[EditRequest], most: int) -> dict[FactKey, str]:
    by_subject: dict[ItemId, list[FactKey]] = defaultdict(list)
    for request in new:
        by_subject[request.key.subject].append(request.key)
    return {
        key: f"a flood: {len(keys)} new facts about {subject} at once, {most} are let through"
        for subject, keys in by_subject.items()
        if len(keys) > most
        for key in keys
    }


def _gibberish(new: Iterable[EditRequest], logprobs: Mapping[FactKey, float], most: float) -> dict[FactKey, str]:
    by_relation: dict[PropertyId, dict[FactKey, float]] = defaultdict(dict)
    for request in new:
        if request.key in logprobs:
            cost = -logprobs[request.key] / max(1, len(request.target.encode()))
            by_relation[request.key.property][request.key] = cost
    found = {}
    for request in new:
        costs = by_relation[request.key.property]
        cost = costs.get(request.key, 0.0)
        if len(request.target.encode()) < SHORTEST or cost <= most:
            continue
        others = [c for key, c in costs.items() if key != request.key]
        usual = median(others) if len(others) >= COMPANY else 0.0
        if cost > 2 * usual:
            found[request.key] = f"{request.target!r} looks like no name: it costs the base {cost:.1f} nats a byte" + (
                f", the relation's other new answers {usual:.1f}" if usual else ""
            )
    return found
