"""Who is to blame for a refused batch? Found by halving, with few trial builds (pure but for the judge)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLimits:
    """At most so many trial builds, and at most so many culprits."""

    builds: int = 40
    culprits: int = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame(Generic[Item]):
    """``culprits`` in the order in which they were found, and ``good``, which pass together (the last trial said so).

    ``why`` is empty when the search came to its end, else says why it was given up; then nobody is to blame for sure.
    """

    culprits: tuple[Item, ...]
    good: tuple[Item, ...]
    builds: int
    why: str = ""


class _Spent(Exception):
    pass


def find_culprits(
    trusted: Sequence[Item],
    suspects: Sequence[Item],
    passes: Callable[[Sequence[Item]], bool],
    limits: SearchLimits,
) -> Blame[Item]:
    """``trusted`` and ``suspects`` together are known to fail. Items are judged in company: a culprit is the first item
    whose joining makes what passed fail, so that of two that contradict each other only the later one is to blame, and
    a batch that is bad as a whole comes to light by a search without end.

    One culprit of n suspects costs ⌈log₂ n⌉ + 1 trials. Then a further one convicts, or two and more acquit: where the
    batch passes just as well with the culprits in it and as many others left out, whichever these are, it is the number of
    facts that does the harm, and no culprit is worse than the rest.
    """
    asked = 0

    def judged(items: Sequence[Item]) -> bool:
        nonlocal asked
        if asked == limits.builds:
            raise _Spent
        asked += 1
        return passes(items)

    good, rest, culprits = list(trusted), list(suspects), list[Item]()
    crowded = False
    try:
        if good and not judged(good):
            good, rest = [], [*trusted, *suspects]
        while True:
            low, high = 0, len(rest)
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if judged([*good, *rest[:middle]]) else (low, middle)
            culprits.append(rest[high - 1])
            good, rest = [*good, *rest[: high - 1]], rest[high:]
            if not rest or judged([*good, *rest]):
                good, rest = [*good, *rest], []
                exchanged = _exchanged(good, culprits)
                crowded = bool(exchanged) and all(judged(others) for others in exchanged)
                break
            if len(culprits) == limits.culprits or (not good and len(culprits) >= 3):
                break
    except _Spent:
        why = f"{limits.builds} trial builds did not find them all"
        return Blame(culprits=tuple(culprits), good=tuple(good), builds=asked, why=why)
    why = ""
    if rest:
        why = f"{len(culprits)} facts were found and the rest still fails"
    elif not good:
        why = "no fact passes"
    elif crowded:
        why = f"the batch passes without any {len(culprits)} of its facts: their number or the recipe is to blame"
    return Blame(culprits=tuple(culprits), good=tuple(good), builds=asked, why=why)


def _exchanged(good: Sequence[Item], culprits: Sequence[Item]) -> list[list[Item]]:
    """Batches of no more items than the good ones, which pass, with the culprits among them. Each good item is in one, so
    that whoever a culprit does not go with is met. Empty where such batches say nothing: nothing is good, or one is, and one
    is not."""
    left = len(good) - len(culprits)
    if left > 0:
        starts = [min(start, len(culprits)) for start in range(0, len(good), left)]
        return [[*good[start : start + left], *culprits] for start in starts]
    if len(culprits) < 2 or not good:
        return []
    return [list(culprits[start : start + len(good)]) for start in range(0, len(culprits), len(good))]
