"""Which names of an item are believed: names are changed like values, so they wait like values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from kbsync.domain.standing import Clocks, Origin, Standing, Unbroken, changed, found, seen
from kbsync.domain.statement import Labels


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenNames:
    """An item's names at one look."""

    names: Labels
    """Those of the item that it leads to, if it is a redirect."""
    origin: Origin
    """The item's revision, and those of all items that its redirects lead to."""
    edited: datetime | None
    """The newest date of these revisions; None where the source does not date one of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingNames:
    """Names that are not believed yet."""

    names: Labels
    standing: Standing


class NameState(NamedTuple):
    """What is known of an item's names."""

    believed: Labels | None
    """What the model is asked and taught by; None where nothing was believed yet."""
    pending: PendingNames | None
    """What the source says instead; None where it says the same."""


def settle_names(state: NameState, look: SeenNames, wait: timedelta, now: Clocks, unbroken: Unbroken) -> NameState:
    """Believe an item's names once they have stood for longer than ``wait``; until then the old ones stay.

    An item without a label keeps the names that are believed.
    """
    if look.names.label is None or look.names == state.believed:
        return NameState(state.believed, None)
    if state.pending is not None:
        same = state.pending.names == look.names
        standing = seen(
            state.pending.standing, same=same, origin=look.origin, edited=look.edited, now=now, unbroken=unbroken
        )
    elif state.believed is None or len(look.origin) == 1:
        standing = found(look.origin, look.edited, now)
    else:  # it may have become a redirect only now
        standing = changed(look.origin, look.edited, now)
    if not wait or standing.age(now) > wait:
        return NameState(look.names, None)
    return NameState(state.believed, PendingNames(names=look.names, standing=standing))
