"""How much a search does: counted in units of work, so that the clock decides nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from math import ceil

TOKENS_PER_UNIT = 1500
"""A unit of work takes as long as the model takes to read so many tokens of text."""
SETUP = 45
"""What the traces, the key covariances and the base's own answers cost, in units: half of it are the traces, whose
passes are small."""
DRAFTED, REFINED = (3.5, 0.5), (4.7, 3.0)
"""What a trial costs in units, without and with the refinement: whatever it writes, and for each fact.

They are counted, not fitted: a fact in some seven phrasings takes 30 steps of a search over two short rows, and seven
passes of the refinement over all phrasings, the preserved prompts and the text beside them."""
FINER = 2
"""Trials with a λ between those of the first ones, at the end of a search."""
FEWEST_FACTS = 8
LARGEST_COARSE = 6
"""From so many recipes on λ is searched more finely at the end."""


@dataclass(frozen=True, slots=True)
class Round:
    """One round of a search: so many recipes write ``facts`` facts each."""

    recipes: int
    facts: int
    is_draft: bool = False
    """Whether facts are written by the closed form alone. It shows which layers and which λ reach the facts at all, in
    a fraction of the time."""

    @property
    def units(self) -> float:
        fixed, each = DRAFTED if self.is_draft else REFINED
        return self.recipes * (fixed + each * self.facts)


@dataclass(frozen=True, slots=True)
class Extent:
    """The size of a search (successive halving: Jamieson and Talwalkar, AISTATS 2016)."""

    recipes: int
    """So many recipes are tried as drafts. The best quarter of them is written as a version would be, each with its own
    λ and with a larger one."""
    facts: int
    """So many facts are written in each of the latter trials; half of them in the drafts."""

    @property
    def rounds(self) -> tuple[Round, ...]:
        if self.recipes < 2:
            return (Round(1, self.facts),)
        drafts = Round(self.recipes, max(FEWEST_FACTS, self.facts // 2), is_draft=True)
        return (drafts, Round(2 * max(1, self.recipes // 4), self.facts))

    @property
    def finer(self) -> bool:
        """Whether λ is searched more finely at the end."""
        return self.recipes >= LARGEST_COARSE

    @property
    def units(self) -> int:
        """The work of the whole search."""
        last = Round(FINER, self.facts).units if self.finer else 0
        return ceil(SETUP + sum(one.units for one in self.rounds) + last)

    @property
    def trials(self) -> int:
        """The most trials that are made."""
        return sum(one.recipes for one in self.rounds) + (FINER if self.finer else 0)


EXTENTS = (
    Extent(1, 8),
    Extent(3, 12),
    Extent(4, 16),
    Extent(6, 16),
    Extent(8, 24),
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
