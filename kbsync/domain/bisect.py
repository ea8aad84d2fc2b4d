"""Who is to blame for a refused batch? Found by halving, with few trial builds (pure but for the judge)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
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
    limits: Limits,
) -> Blame[Item]:
    """``trusted`` and ``suspects`` together are known to fail. Items are judged in company: a culprit is the first item
    whose joining makes what passed fail, so that of two that contradict each other only the later one is to blame, and
    a batch that is bad as a whole comes to light by a search without end.

    One culprit of n suspects costs ⌈log₂ n⌉ + 1 trials.
    """
    asked = 0

    def judged(items: Sequence[Item]) -> bool:
        nonlocal asked
        if asked == limits.builds:
            raise _Spent
        asked += 1
        return passes(items)

    good, rest, culprits = list(trusted), list(suspects), list[Item]()
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
    return Blame(culprits=tuple(culprits), good=tuple(good), builds=asked, why=why)
