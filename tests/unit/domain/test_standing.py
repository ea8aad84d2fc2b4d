"""The one rule of how long something has stood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kbsync.domain.standing import Clocks, Origin, Standing, changed, found, seen, stood_whole, unchanged
from kbsync.domain.statement import ItemId

NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
BOTH = Clocks(here=NOW, there=NOW)
A, B = ItemId("Q1"), ItemId("Q2")
READ: Origin = ((A, 7),)


def later(span: timedelta) -> Clocks:
    return Clocks(here=NOW + span, there=NOW + span)


def look(before: Standing, *, origin: Origin = READ, same: bool = True, unbroken: bool = False) -> timedelta:
    """The age one day later."""
    then = later(DAY)
    standing = seen(before, same=same, origin=origin, edited=None, now=then, unbroken=lambda *_: unbroken)
    return standing.age(then)


def test_what_is_found_has_stood_since_its_last_edit() -> None:
    assert found(READ, NOW - DAY, BOTH).age(BOTH) == DAY
    assert found(READ, None, BOTH).age(BOTH) == timedelta(0)


def test_a_change_is_as_young_as_the_look_that_found_it() -> None:
    assert changed(READ, NOW - 30 * DAY, BOTH).age(BOTH) == timedelta(0)


@pytest.mark.parametrize("shift", [-5 * DAY, 5 * DAY])
def test_one_wrong_clock_makes_nothing_older(shift: timedelta) -> None:
    for at in (Clocks(here=NOW + shift, there=NOW), Clocks(here=NOW, there=NOW + shift)):
        assert changed(READ, NOW, at).age(later(HOUR)) <= HOUR
        assert changed(READ, NOW, BOTH).age(at) <= timedelta(0)
        assert unchanged(changed(READ, NOW, BOTH), READ, at).age(later(HOUR)) <= HOUR


def test_a_clock_that_was_ahead_delays_until_the_next_look_only() -> None:
    ahead = changed(READ, NOW + 9 * DAY, Clocks(here=NOW + 5 * DAY, there=NOW))
    right = unchanged(ahead, READ, later(HOUR))
    assert right.age(later(HOUR + DAY)) == DAY


def test_what_stands_in_the_same_revision_grows_older() -> None:
    assert look(changed(READ, None, BOTH)) == DAY
    assert look(changed(READ, None, BOTH), same=False) == timedelta(0)


def test_a_newer_revision_restarts_the_clock_unless_all_in_between_said_the_same() -> None:
    assert look(changed(READ, None, BOTH), origin=((A, 8),)) == timedelta(0)
    assert look(changed(READ, None, BOTH), origin=((A, 8),), unbroken=True) == DAY


def test_a_change_that_an_edit_brought_is_as_old_as_the_edit() -> None:
    edited = {"edited": NOW - 3 * DAY, "now": BOTH, "unbroken": lambda *_: False}
    before = found(READ, NOW - 9 * DAY, BOTH)
    assert seen(before, same=False, origin=((A, 8),), **edited).age(BOTH) == 3 * DAY  # type: ignore[arg-type]
    for origin in (READ, ((A, 8), (B, 1)), ((A, 0),)):
        assert seen(before, same=False, origin=origin, **edited).age(BOTH) == timedelta(0)  # type: ignore[arg-type]


@pytest.mark.parametrize("origin", [((A, 7), (B, 7)), ((B, 7),), ((A, 0),), ()])
def test_another_way_to_it_or_a_deletion_restarts_the_clock(origin: Origin) -> None:
    assert not stood_whole(READ, origin, lambda *_: True)
    assert not stood_whole(origin, READ, lambda *_: True)
