"""Which names are looked at, and when they are believed."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.statement import ItemId, Labels
from kbsync.stages.pull.names import LABELS_REFRESH
from tests.support.stage_world import RELATIONS, START, World, statement

ROME, ITALY = ItemId("Q220"), ItemId("Q38")
WAIT = RELATIONS[0].trust.names


def named(world: World, item: ItemId = ROME) -> str | None:
    with world.ledger.read() as tx:
        entry = tx.labels([item]).get(item)
    return entry.label if entry else None


def pending(world: World, item: ItemId = ROME) -> Labels | None:
    with world.ledger.read() as tx:
        entry = tx.pending_names([item]).get(item)
    return entry.names if entry else None


def test_names_that_have_stood_for_long_are_believed_at_the_first_look(world: World) -> None:
    world.look()
    assert (named(world), named(world, ItemId("Q586")), named(world, ITALY)) == ("Rome", "Bonn", "Italy")


def test_a_name_that_was_missing_is_believed_once_it_has_stood(world: World) -> None:
    world.source.set_item(ROME, label=None)
    world.look()
    assert named(world) is None
    world.source.set_item(ROME, label="Rome")
    world.look()
    assert (named(world), pending(world)) == (None, Labels(item=ROME, label="Rome"))
    world.pass_time(WAIT)
    world.look()
    assert named(world) is None
    world.pass_time(timedelta(seconds=1))
    world.look()
    assert (named(world), pending(world)) == ("Rome", None)


def test_a_new_name_of_an_object_that_nobody_has_touched_for_long_is_believed_when_it_is_seen(world: World) -> None:
    world.look()
    world.source.set_item(ROME, label="Roma")
    world.pass_time(LABELS_REFRESH)
    world.look()
    assert named(world) == "Roma"


def test_a_new_name_of_an_object_is_seen_within_a_week_and_believed_later(world: World) -> None:
    world.look()
    world.source.set_item(ROME, label="Roma", aliases=["Rome"])
    world.look()
    assert (named(world), pending(world)) == ("Rome", None)
    world.pass_time(LABELS_REFRESH - timedelta(hours=1))
    world.source.set_item(ROME, label="Roma", aliases=["Rome", "Urbs"])
    world.pass_time(timedelta(hours=1))
    world.look()
    names = Labels(item=ROME, label="Roma", aliases=("Rome", "Urbs"))
    assert (named(world), pending(world)) == ("Rome", names)
    world.pass_time(WAIT)
    assert world.look().observed == 0
    assert (named(world), pending(world)) == ("Roma", None)


def test_a_name_that_is_put_right_in_time_was_never_there(world: World) -> None:
    world.look()
    capital = world.source.items[ITALY].statements
    world.source.set_item(ITALY, label="Pizza", statements=capital)
    world.look()
    assert (named(world, ITALY), pending(world, ITALY)) == ("Italy", Labels(item=ITALY, label="Pizza"))
    world.source.set_item(ITALY, label="Italy", statements=capital)
    world.look()
    world.pass_time(2 * WAIT)
    world.look()
    assert (named(world, ITALY), pending(world, ITALY)) == ("Italy", None)


@pytest.mark.slow
@pytest.mark.parametrize("remembers", [True, False])
def test_a_name_that_is_there_only_when_somebody_looks_has_not_stood(world: World, remembers: bool) -> None:
    world.source.remembers = remembers
    world.look()
    capital = world.source.items[ITALY].statements
    for _ in range(8):
        world.pass_time(WAIT / 2)
        world.source.set_item(ITALY, label="Pizza", statements=capital)
        world.look()
        world.source.set_item(ITALY, label="Italy", statements=capital)
    assert named(world, ITALY) == "Italy"


@pytest.mark.slow
@pytest.mark.parametrize(("remembers", "believed"), [(True, "Italia"), (False, "Italy")])
def test_other_edits_of_the_item_delay_a_name_only_where_its_history_is_unknown(
    world: World, remembers: bool, believed: str
) -> None:
    world.source.remembers = remembers
    world.look()
    world.source.set_item(ITALY, label="Italia", statements=world.source.items[ITALY].statements)
    for hours in range(0, 73, 24):
        world.look()
        world.pass_time(timedelta(hours=24))
        busy = statement("Q38", "P36", "Q220", refs=hours)
        world.source.set_item(ITALY, label="Italia", statements=[busy])
    world.look()
    assert named(world, ITALY) == believed


def test_an_item_that_loses_its_label_keeps_the_name_that_is_believed(world: World) -> None:
    world.look()
    world.source.set_item(ITALY, label=None, statements=world.source.items[ITALY].statements)
    for _ in range(3):
        world.pass_time(2 * WAIT)
        world.look()
    assert named(world, ITALY) == "Italy"


def test_an_object_goes_by_the_name_at_the_end_of_a_chain_of_redirects(world: World) -> None:
    world.source.now = START - timedelta(days=30)
    world.source.redirect("Q61", "Q62")
    world.source.redirect("Q62", "Q63")
    world.source.redirect("Q63", ROME)
    world.set_statements("Q38", statement("Q38", "P36", "Q61"))
    world.look()
    assert named(world, ItemId("Q61")) == "Rome"


def test_a_redirect_that_leads_to_itself_has_no_name(world: World) -> None:
    world.source.redirect("Q61", "Q62")
    world.source.redirect("Q62", "Q61")
    world.set_statements("Q38", statement("Q38", "P36", "Q61"))
    world.look()
    assert named(world, ItemId("Q61")) is None


def test_an_object_that_becomes_a_redirect_changes_its_name_like_any_other(world: World) -> None:
    world.look()
    world.source.redirect(ROME, "Q586")
    world.pass_time(LABELS_REFRESH)
    world.look()
    assert named(world) == "Rome"
    world.pass_time(2 * WAIT)
    world.look()
    assert named(world) == "Bonn"


def test_names_wait_as_the_most_careful_relation_says() -> None:
    assert max(r.trust.names for r in RELATIONS) == timedelta(hours=36)
