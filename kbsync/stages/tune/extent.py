"""How much a search does: counted in units of work, so that the clock decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

OVERHEAD = 8
"""What measuring a trial costs beside the facts that it writes, in units."""
SETUP = 40
"""What the traces and the key covariances cost, in units."""
TOKENS_PER_UNIT = 1500
"""A unit of work (a fact that one trial writes in all its phrasings and asks for) takes as long as the model takes to
read so many tokens of text. A guess that no real model has confirmed yet: a search may take several times as long."""
FINER = 2
"""Trials with a λ between those of the first ones, at the end of a search."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a search: the best ``recipes`` of the round before write ``facts`` facts each."""

    recipes: int
    facts: int

    @property
    def units(self) -> int:
        return self.recipes * (self.facts + OVERHEAD)


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of a search (successive halving: Jamieson and Talwalkar, AISTATS 2016)."""

    recipes: int
    """So many recipes are tried in the first round; half of them go on to the next, a quarter to the last."""
    facts: int
    """So many facts are written in each trial of the last round: half of them in the round before, and a quarter in
    the first."""

    @property
    def rounds(self) -> tuple[Round, ...]:
        if self.recipes < 3:
            return (Round(self.recipes, self.facts),)
        sizes = [max(FEWEST_FACTS, self.facts // 4), max(FEWEST_FACTS, self.facts // 2), self.facts]
        counts = [self.recipes, (self.recipes + 1) // 2, max(1, self.recipes // 4)]
        return tuple(Round(count, size) for count, size in zip(counts, sizes, strict=True))

    @property
    def finer(self) -> bool:
        """Whether λ is searched more finely at the end."""
        return self.recipes >= LARGEST_COARSE

    @property
    def units(self) -> int:
        """The work of the whole search."""
        last = FINER * (self.facts + OVERHEAD) if self.finer else 0
        return SETUP + sum(one.units for one in self.rounds) + last

    @property
    def trials(self) -> int:
        """The most recipes that are written and measured."""
        return sum(one.recipes for one in self.rounds) + (FINER if self.finer else 0)


FEWEST_FACTS = 8
LARGEST_COARSE = 6
"""From so many recipes on λ is searched more finely at the end."""
EXTENTS = (
    Extent(1, 8),
    Extent(2, 12),
    Extent(3, 16),
    Extent(4, 24),
    Extent(6, 24),
    Extent(8, 32),
    Extent(12, 32),
    Extent(16, 48),
    Extent(24, 64),
)
"""What may be done, from the least to the most. Few steps, so that small differences in speed lead to the same one."""


def extent_for(units: float) -> Extent:
    """The most that ``units`` of work allow; the least of all where they allow nothing."""
    return max((extent for extent in EXTENTS if extent.units <= units), key=lambda e: e.units, default=EXTENTS[0])


def larger(extent: Extent) -> Extent | None:
    """The next larger one; None for the largest."""
    return next((other for other in EXTENTS if other.units > extent.units), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a search is foretold to take on this machine."""

    extent: Extent
    seconds_per_unit: float

    @property
    def seconds(self) -> float:
        return self.extent.units * self.seconds_per_unit

    def within(self, budget: timedelta) -> bool:
        return self.seconds <= budget.total_seconds()


def estimate_for(budget: timedelta, seconds_per_token: float) -> Estimate:
    """What a budget allows on a machine on which the base reads so fast."""
    per_unit = TOKENS_PER_UNIT * seconds_per_token
    return Estimate(extent=extent_for(budget.total_seconds() / per_unit), seconds_per_unit=per_unit)
