"""The labels of the objects that statements mention."""

from __future__ import annotations

from kbsync.domain.statement import ItemId
from kbsync.stages.pull.object_labels import LABELS_REFRESH
from kbsync.stages.pull.pull import PullResult, pull
from tests.support.stage_world import RELATIONS, World

ROME = ItemId("Q220")


def pull_all(world: World) -> PullResult:
    return pull(world.run, world.source, RELATIONS)


def test_objects_are_named(world: World) -> None:
    pull_all(world)
    with world.ledger.read() as tx:
        assert tx.labels([ItemId("Q61053"), ItemId("Q586")])[ItemId("Q586")].label == "Bonn"


def test_names_of_objects_are_looked_up_again_when_they_were_missing_or_are_old(world: World) -> None:
    world.source.set_item(ROME, label=None)
    pull(world.run, world.source, RELATIONS)

    def name() -> str | None:
        with world.ledger.read() as tx:
            return tx.labels([ROME])[ROME].label

    assert name() is None
    world.source.set_item(ROME, label="Rome")
    pull(world.run, world.source, RELATIONS)
    assert name() == "Rome"
    world.source.set_item(ROME, label="Roma")
    result = pull(world.run, world.source, RELATIONS)
    assert (name(), result.observed) == ("Rome", 0)
    world.pass_time(LABELS_REFRESH)
    assert pull(world.run, world.source, RELATIONS).observed == 0
    assert name() == "Roma"
