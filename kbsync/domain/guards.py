"""Which facts an edit guards: chosen by their keys alone (a pure function)."""

from __future__ import annotations

from collections.abc import Iterable
from heapq import nsmallest
from operator import itemgetter
from typing import Protocol, TypeVar

from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import FactKey


class Keyed(Protocol):
    """A fact, as far as it is known by its key."""

    @property
    def key(self) -> FactKey: ...


K = TypeVar("K", bound=Keyed)


def choose_guards(right: Iterable[K], most: int) -> tuple[K, ...]:
    """Choose the facts that an edit guards: about one half of those that the base has right, and at most ``most``.

    Specificity is measured on the other half, so that no guarded fact is counted in favour of the guard. Which half a
    fact is in depends on its key alone, and the order on the key's hash, so that a new fact changes no other's place.
    """
    ranked = ((content_hash([g.key.subject, g.key.property]), g) for g in right)
    mine = ((digest, g) for digest, g in ranked if int(digest[-1], 16) % 2)
    return tuple(g for _, g in nsmallest(most, mine, key=itemgetter(0)))
