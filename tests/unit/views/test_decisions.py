"""A decision about one fact, as it is shown."""

from __future__ import annotations

from datetime import timedelta

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId
from kbsync.stages.decide import Decided, approve, exclude
from kbsync.stages.pull.pull import pull
from kbsync.views.decisions import DecisionView, decision_view
from tests.support.stage_world import CAPITAL, World, statement

ITALY = FactKey(ItemId("Q38"), CAPITAL)


def shown(world: World, action: str, decided: Decided) -> DecisionView:
    with world.ledger.read() as tx:
        return decision_view(tx, world.relations[0], action, decided, dry_run=False)


def test_what_is_observed_and_believed_is_named(world: World) -> None:
    world.sync()
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(0))
    world.pass_time(timedelta(minutes=1))
    pull(world.run, world.source, world.relations)
    view = shown(world, "exclude", exclude(world.run, ITALY, "because"))
    assert (view.item, view.label, view.relation, view.property) == ("Q38", "Italy", "capital", "P36")
    assert (view.observed, view.believed) == (("Bonn",), ("Rome",))
    assert (view.action, view.already, view.dry_run) == ("exclude", False, False)
    assert view.standing is not None and "because" in view.standing
    view = shown(world, "approve", approve(world.run, ITALY, "it is so"))
    assert (view.observed, view.believed) == (("Bonn",), ("Bonn",))


def test_what_is_not_believed_yet_is_null(world: World) -> None:
    world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(0))
    world.pass_time(timedelta(minutes=1))
    pull(world.run, world.source, world.relations)
    with world.ledger.read() as tx:
        record = tx.fact(ITALY)
    assert record is not None and record.believed is None
    view = shown(world, "clear", Decided(record=record, standing=None, already=True))
    assert (view.observed, view.believed, view.standing, view.already) == (("Rome",), None, None, True)
