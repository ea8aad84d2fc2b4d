"""What a recipe's search takes beside one over the first phrasing alone, on a machine that may do other work, too.

Both ways search the same facts in small chunks, in turn: first one way and then the other, and in the next chunk the
other way round. What counts is the processor time of this process. So work beside it slows both ways down alike, and
the time that it takes from them is not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from typing import Any

from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import FactKey
from kbsync.domain.recipe import Recipe
from kbsync.operations.evidence import Figure
from kbsync.research.stopwatch import Seconds
from kbsync.research.written_facts import FreshTargets, Site, Variant

FIRST = "first"
HOW = (
    "processor seconds of this process in the search for target vectors; both ways search the same facts in chunks, "
    "and take turns in who begins"
)
CHUNK = 16
"""Facts that are searched at once, at least; facts about one subject stay together, since their search is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lap:
    """One chunk, searched in both ways."""

    facts: int
    whole: Seconds
    """Over the phrasings that the recipe writes."""
    first: Seconds
    """Over the first phrasing alone."""


@dataclass(frozen=True, slots=True)
class SearchTimes:
    """The laps of a comparison."""

    laps: tuple[Lap, ...]

    @property
    def ratio(self) -> float:
        """Processor time over the recipe's phrasings, in units of that over the first."""
        return sum(lap.whole.processor for lap in self.laps) / max(sum(lap.first.processor for lap in self.laps), 1e-9)

    def figure(self) -> Figure:
        """``search_ratio``."""
        return Figure("search_ratio", self.ratio, "times")

    def told(self) -> dict[str, Any]:
        """What the document says of how it was measured."""
        return {"measured": HOW, "laps": [asdict(lap) for lap in self.laps]}


def compare_searches(site: Site, recipe: Recipe, facts: int) -> SearchTimes:
    """Search target vectors of at least ``facts`` facts (or of all that there are) in both ways.

    Only the phrasings differ between the two. What follows the search is not timed, so nothing is refined.
    """
    whole = site.variant(replace(recipe, refine_epochs=0), "given")
    first = site.variant(replace(recipe, refine_epochs=0, phrasings=FIRST), FIRST)
    return take_turns(
        chunks([request.key for request in whole.requests], facts),
        lambda keys: _searched(site, whole, keys),
        lambda keys: _searched(site, first, keys),
    )


def take_turns(
    parts: Sequence[Sequence[FactKey]],
    over_whole: Callable[[Sequence[FactKey]], Seconds],
    over_first: Callable[[Sequence[FactKey]], Seconds],
) -> SearchTimes:
    """Time both ways on every part; the one that begins changes from part to part."""
    laps = []
    for number, part in enumerate(parts):
        if number % 2 == 0:
            whole = over_whole(part)
            first = over_first(part)
        else:
            first = over_first(part)
            whole = over_whole(part)
        laps.append(Lap(facts=len(part), whole=whole, first=first))
    return SearchTimes(tuple(laps))


def chunks(keys: Sequence[FactKey], most: int) -> list[list[FactKey]]:
    """Facts in chunks of ``CHUNK`` or a few more, ``most`` or a few more in all: subjects in an order drawn by hash."""
    drawn = sorted(keys, key=lambda key: (content_hash(str(key.subject)), str(key.property)))
    found: list[list[FactKey]] = []
    for _, about in groupby(drawn, key=lambda key: key.subject):
        if not found or len(found[-1]) >= CHUNK:
            if sum(map(len, found)) >= most:
                break
            found.append([])
        found[-1] += about
    return found


def _searched(site: Site, variant: Variant, keys: Sequence[FactKey]) -> Seconds:
    wanted = set(keys)
    requests = tuple(request for request in variant.requests if request.key in wanted)
    narrowed = replace(variant, requests=requests, guards=())
    return site.edit(narrowed, FreshTargets(site.session.artifacts)).searched
