"""When names are believed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kbsync.domain.name_trust import NameState, SeenNames, settle_names
from kbsync.domain.standing import Clocks
from kbsync.domain.statement import ItemId, Labels

ROME = ItemId("Q220")
NOW = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
NOTHING = NameState(None, None)


def look(
    state: NameState,
    label: str | None,
    *,
    day: int = 0,
    revision: int = 1,
    edited: datetime | None = None,
    wait: timedelta = DAY,
) -> NameState:
    names = Labels(item=ROME, label=label)
    seen = SeenNames(names=names, origin=((ROME, revision),), edited=edited)
    at = NOW + day * DAY
    return settle_names(state, seen, wait, Clocks(at, at), lambda *_: False)


def named(label: str) -> NameState:
    return NameState(Labels(item=ROME, label=label), None)


def test_the_first_name_is_as_old_as_the_last_edit() -> None:
    assert look(NOTHING, "Rome", edited=NOW - 2 * DAY) == named("Rome")
    assert look(NOTHING, "Rome", edited=NOW - DAY).believed is None
    assert look(NOTHING, "Rome").believed is None


def test_a_new_name_waits_for_longer_than_the_time() -> None:
    assert look(named("Rome"), "Roma", edited=NOW - 2 * DAY) == named("Roma")
    state = look(named("Rome"), "Roma", edited=NOW)
    assert (state.believed, state.pending and state.pending.names.label) == (Labels(item=ROME, label="Rome"), "Roma")
    state = look(state, "Roma", day=1)
    assert state.pending is not None
    assert look(state, "Roma", day=2) == named("Roma")


def test_a_redirect_to_an_old_name_is_as_young_as_the_look_that_found_it() -> None:
    seen = SeenNames(
        names=Labels(item=ROME, label="Bonn"), origin=((ROME, 2), (ItemId("Q586"), 1)), edited=NOW - 9 * DAY
    )
    state = settle_names(named("Rome"), seen, DAY, Clocks(NOW, NOW), lambda *_: False)
    assert state.believed == Labels(item=ROME, label="Rome")
    assert state.pending is not None and state.pending.standing.age(Clocks(NOW, NOW)) == timedelta(0)


def test_an_edit_of_the_item_restarts_the_clock() -> None:
    state = look(named("Rome"), "Roma")
    state = look(state, "Roma", day=2, revision=2)
    assert state.believed == Labels(item=ROME, label="Rome")
    assert look(state, "Roma", day=4, revision=2) == named("Roma")


@pytest.mark.parametrize("label", ["Rome", None])
def test_a_name_that_was_put_back_or_taken_away_leaves_no_trace(label: str | None) -> None:
    assert look(look(named("Rome"), "Pizza"), label, day=1, revision=2) == named("Rome")


def test_without_a_trust_time_names_are_believed_at_once() -> None:
    assert look(named("Rome"), "Roma", wait=timedelta(0)) == named("Roma")
