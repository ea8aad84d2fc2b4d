"""Pulling: every change once, nothing half-done, whatever the source does."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.errors import Busy, SourceDown
from kbsync.domain.statement import ItemId
from kbsync.stages.pull.pull import PullResult, pull, pull_items
from kbsync.stages.session import puller, writer
from tests.support.stage_world import CAPITAL, HEAD, RELATIONS, TTL, World, statement

ITALY = ItemId("Q38")
OFFICES = [relation for relation in RELATIONS if relation.property == HEAD]


def pull_all(world: World) -> PullResult:
    return pull(world.run, world.source, RELATIONS)


def test_the_first_pull_fetches_everything_and_the_second_nothing(world: World) -> None:
    first = pull_all(world)
    assert (first.watched, first.fetched, first.statements.added) == (3, 3, 7)
    assert (first.observed, first.believed, first.waiting) == (5, 5, 0)
    world.source.asked.clear()
    second = pull_all(world)
    assert second.nothing_new
    assert world.source.asked == []


def test_a_source_that_is_behind_the_ledger_is_not_followed(world: World) -> None:
    pull_all(world)
    world.source.now -= timedelta(minutes=1)
    with pytest.raises(SourceDown, match="already up to"):
        pull_all(world)


def test_a_group_moves_no_cursor_past_what_it_did_not_fetch(world: World) -> None:
    """France's one revision covers its capital and its head of government."""
    pull(world.run, world.source, RELATIONS)
    moved = statement("Q142", "P36", "Q64")
    world.set_statements("Q142", moved, statement("Q142", "P6", "Q30333", start="2022-05-16"))
    assert pull(world.run, world.source, RELATIONS, group=OFFICES).fetched == 1
    assert world.believed("Q142", HEAD) == {"Q30333"}
    assert world.believed("Q142", CAPITAL) == {"Q90"}, "not looked at yet"
    assert pull(world.run, world.source, RELATIONS).fetched == 0
    assert world.believed("Q142", CAPITAL) == {"Q64"}


def test_a_group_does_not_say_that_all_was_pulled(world: World) -> None:
    pull(world.run, world.source, RELATIONS, group=OFFICES)
    with world.ledger.read() as tx:
        assert tx.watermark(world.source.name) is None
        assert tx.watermark(f"{world.source.name}/{HEAD}") == world.source.now
    assert pull(world.run, world.source, RELATIONS).fetched == 3, (
        "capitals were never pulled, so all their subjects are"
    )


def test_a_writer_does_not_block_a_pull_nor_a_pull_a_writer(world: World) -> None:
    with writer(world.run, TTL), puller(world.run, TTL) as run:
        pull(run, world.source, RELATIONS)
    with puller(world.run, TTL), writer(world.run, TTL):
        pass


def test_of_two_pulls_the_second_is_refused_or_waits(world: World) -> None:
    with puller(world.run, TTL):
        with pytest.raises(Busy, match="'puller'"), puller(world.run, TTL):
            pass
        with pytest.raises(Busy), writer(world.run, TTL) as held, held.pulling(timedelta(seconds=0.3)):
            pass
    with writer(world.run, TTL) as held, held.pulling():
        pass


def test_a_pull_of_some_items_believes_nothing_that_it_did_not_look_at(world: World) -> None:
    """Q38 leads to Q999, so an event about Q999 is about the fact of Q38; it may lead there no more."""
    pull_all(world)
    world.source.set_item("Q999", label="Italia", statements=[statement("Q999", "P36", "Q586")])
    world.source.redirect("Q38", "Q999")
    pull_all(world)
    world.pass_time(timedelta(hours=73))
    world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(hours=40))
    pull_items(world.run, world.source, RELATIONS, [ItemId("Q999")], world.source.now)
    assert world.believed("Q38", CAPITAL) == {"Q220"}


def test_a_pull_of_an_item_that_is_gone_though_it_was_just_edited_believes_nothing_of_it(world: World) -> None:
    pull_all(world)
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(0))
    pull_all(world)
    world.pass_time(timedelta(hours=73))
    world.source.delete("Q38")
    pull_items(world.run, world.source, RELATIONS, [ITALY], world.source.now, edited={ITALY})
    assert world.believed("Q38", CAPITAL) == {"Q220"}
