"""What the base and the versions answer about one fact."""

from __future__ import annotations

import pytest

from kbsync.domain.statement import ItemId
from kbsync.views.explain import ExplainView, explain
from tests.support.stage_world import World

GERMANY, ITALY = ItemId("Q183"), ItemId("Q38")


def explained(world: World, item: ItemId, number: int = 0) -> ExplainView:
    with world.ledger.read() as tx:
        return explain(tx, item, world.relations[number], world.clock.now())


def test_a_fact_that_the_base_knows_is_held_by_no_version(world: World) -> None:
    world.sync()
    view = explained(world, ITALY)
    assert view.verdict is not None and view.verdict.kind == "current" and view.versions == ()


@pytest.mark.slow
def test_each_version_tells_what_it_changed_or_could_not_edit(world: World) -> None:
    world.editor.refuse = {"Germany": "the subject can't be located"}
    world.sync()
    world.sync_with_new_government()
    (missed,) = explained(world, ItemId("Q183"), 1).versions
    assert (missed.version, missed.change, missed.left_out) == (1, "add", "the subject can't be located")
    added, changed = explained(world, ItemId("Q142"), 1).versions
    assert [(v.version, v.change, v.target, v.current) for v in (added, changed)] == [
        (1, "add", "Jean Castex", False),
        (2, "change", "Élisabeth Borne", True),
    ]
    assert (changed.after, changed.right) == (" Élisabeth Borne", True)
