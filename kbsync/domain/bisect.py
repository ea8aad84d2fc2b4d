"""Find the facts that got a batch refused, by halving it: few trial builds, no state (pure but for ``passes``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchLimits:
    """When a search is given up."""

    builds: int = 40
    """Largest number of trial builds."""
    culprits: int = 5
    """Largest number of culprits, if the batch without them still fails."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blame(Generic[Item]):
    """How a search ended."""

    culprits: tuple[Item, ...]
    """In the order in which they were found."""
    good: tuple[Item, ...]
    """Items that pass together, as a trial showed."""
    builds: int
    """Trial builds that were made."""
    why: str = ""
    """Why the search was given up, so that nobody can be blamed; empty when it came to its end."""


class _OutOfBuilds(Exception):
    """The limit of trial builds is reached."""


def find_culprits(
    trusted: Sequence[Item],
    suspects: Sequence[Item],
    passes: Callable[[Sequence[Item]], bool],
    limits: SearchLimits,
) -> Blame[Item]:
    """Search for the items that make a batch fail.

    Items are tried together with others: a culprit is the first item that makes a passing batch fail when it joins. So
    of two items that contradict each other only the later one is blamed, and where the batch is bad as a whole the
    search reaches its limits.

    One culprit among n suspects costs ⌈log₂ n⌉ + 1 trials. The culprits are then tested once more: batches are tried
    that hold the culprits, and from which as many *other* items are left out instead. If all of these pass, too, the
    batch is simply too large, no culprit is worse than the rest, and nobody is blamed.

    Args:
        trusted: Items that are blamed only if they fail without the suspects.
        suspects: The other items, in the order in which they join; those to blame first come last. Together with
            ``trusted`` they are known to fail.
        passes: Whether a batch passes; each call is a trial build.
    """
    builds = 0

    def judged(items: Sequence[Item]) -> bool:
        nonlocal builds
        if builds == limits.builds:
            raise _OutOfBuilds
        builds += 1
        return passes(items)

    good, rest, culprits = list(trusted), list(suspects), list[Item]()
    too_large = False
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
                too_large = bool(exchanged) and all(judged(batch) for batch in exchanged)
                break
            if len(culprits) == limits.culprits or (not good and len(culprits) >= 3):
                break
    except _OutOfBuilds:
        why = f"{limits.builds} trial builds did not find them all"
        return Blame(culprits=tuple(culprits), good=tuple(good), builds=builds, why=why)
    why = ""
    if rest:
        why = f"{len(culprits)} facts were found and the rest still fails"
    elif not good:
        why = "no fact passes"
    elif too_large:
        why = f"the batch passes without any {len(culprits)} of its facts: their number or the recipe is to blame"
    return Blame(culprits=tuple(culprits), good=tuple(good), builds=builds, why=why)


def _exchanged(good: Sequence[Item], culprits: Sequence[Item]) -> list[list[Item]]:
    """Batches as large as the good one, which passes, with the culprits among them.

    Each good item is in one of them, so that a culprit also meets the item that it contradicts. Empty where such
    batches would say nothing: where nothing is good, or one item is good and one is not.
    """
    left = len(good) - len(culprits)
    if left > 0:
        starts = [min(start, len(culprits)) for start in range(0, len(good), left)]
        return [[*good[start : start + left], *culprits] for start in starts]
    if len(culprits) < 2 or not good:
        return []
    return [list(culprits[start : start + len(good)]) for start in range(0, len(culprits), len(good))]
