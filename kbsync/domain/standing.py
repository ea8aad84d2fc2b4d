"""How long something that the source says has stood as it is: the one rule by which anything of it is believed.

It holds for the values of facts and for the names of items alike. A change that an edit of the item brought is as old
as the item's newest revision. One that no edit of the item explains (a new redirect, a merge, a start or an end that
has come, a deletion, a revision without a date) is as old as the look that found it first. Both are counted by this
machine's clock and by the source's time, and the younger age counts.

A change must have stood *whole*: every newer revision of an item that it was read from restarts the clock, unless the
source can tell that none of the revisions in between was any different. What is reached by a redirect was read from all
items on the way. A deletion that the source does not date has no revision: an item that is gone at two looks may have
been there in between, so such a deletion stands since the last look only, and is left to a person.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from kbsync.domain.statement import ItemId

Origin = tuple[tuple[ItemId, int], ...]
"""The items that something was read from, each with its revision (0: it is deleted, and no one says since when);
redirects lead from each to the next."""

Unbroken = Callable[[ItemId, int, int], bool]
"""Whether an item is known to have said the same in all revisions from one to another."""


class Clocks(NamedTuple):
    """What time it is."""

    here: datetime
    """By this machine's clock."""
    there: datetime
    """By the source: the time up to which it knows Wikidata."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Since when something is known to stand as it is."""

    here: datetime
    """By this machine's clock."""
    there: datetime
    """By the source's time."""
    origin: Origin

    def age(self, now: Clocks) -> timedelta:
        """How long it has stood, by whichever clock says less."""
        return min(now.here - self.here, now.there - self.there)


def found(origin: Origin, edited: datetime | None, now: Clocks) -> Standing:
    """The standing of what has stood since the last edit, if the source dates that; else since now."""
    if edited is None:
        return Standing(here=now.here, there=now.there, origin=origin)
    return Standing(here=edited, there=edited, origin=origin)


def changed(origin: Origin, edited: datetime | None, now: Clocks) -> Standing:
    """The standing of a change that no edit explains: it has stood since now."""
    return Standing(here=max(now.here, edited or now.here), there=max(now.there, edited or now.there), origin=origin)


def unchanged(before: Standing, origin: Origin, now: Clocks) -> Standing:
    """The standing of what stands as before. A date ahead of a clock was wrong, and counts from now on."""
    return Standing(here=min(before.here, now.here), there=min(before.there, now.there), origin=origin)


def seen(
    before: Standing, *, same: bool, origin: Origin, edited: datetime | None, now: Clocks, unbroken: Unbroken
) -> Standing:
    """The standing of what is looked at again.

    Args:
        before: The standing at the last look.
        same: It says the same as then.
        origin: What it was read from now.
        edited: The newest date of the revisions in ``origin``; None where one has none.
        now: The time of this look.
        unbroken: What is known of the revisions since the last look.
    """
    if same and stood_whole(before.origin, origin, unbroken):
        return unchanged(before, origin, now)
    return found(origin, edited, now) if _edited(before.origin, origin) else changed(origin, edited, now)


def _edited(before: Origin, origin: Origin) -> bool:
    """Whether the items on the way are the same, and one of them has another revision."""
    same_way = [item for item, _ in before] == [item for item, _ in origin]
    return same_way and before != origin and all(revision for _, revision in (*before, *origin))


def stood_whole(before: Origin, origin: Origin, unbroken: Unbroken) -> bool:
    """Whether everything on the way said the same at all times between two looks."""
    if [item for item, _ in before] != [item for item, _ in origin]:
        return False
    looks = zip(before, origin, strict=True)
    return all(old > 0 and new > 0 and (old == new or unbroken(item, old, new)) for (item, old), (_, new) in looks)
