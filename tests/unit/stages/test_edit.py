"""The version of a plan is built once, whatever interrupts it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.errors import EditError, NotFound
from kbsync.domain.plan import Change
from kbsync.domain.version import VersionState
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.edit import edit, forecast_edit
from kbsync.testing.samples import edit_plan
from tests.support.stage_world import BORNE, CASTEX_ENDED, PARIS, World, WorldSite, changes


@pytest.mark.slow
def test_what_the_editor_leaves_out_goes_to_quarantine_until_its_value_changes(world: World) -> None:
    world.editor.refuse = {"France": "the subject can't be located"}
    assert world.sync().outcome is CycleOutcome.PROMOTED
    with world.ledger.read() as tx:
        assert {str(key): entry.reason for key, entry in tx.quarantine().items()} == {
            "Q142 P6": "the subject can't be located"
        }
    assert world.sync().outcome is CycleOutcome.NOTHING
    world.editor.refuse = {}
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(days=4))
    assert changes(world.sync()) == {"Q142 P6": Change.ADD, "Q183 P6": Change.KEEP}


@pytest.mark.slow
def test_a_killed_edit_is_built_again_under_the_same_number(world: World) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    healthy = world.store.write
    world.store.write = die  # type: ignore[method-assign, assignment]
    with pytest.raises(Killed):
        world.sync()
    with world.ledger.read() as tx:
        assert [v.state for v in tx.versions()] == [VersionState.BUILDING]
    world.store.write = healthy  # type: ignore[method-assign]
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert world.current == 1


@pytest.mark.slow
def test_a_plan_is_built_once_and_only_with_its_own_recipe(world: World) -> None:
    first = world.sync()
    recipe, plan_hash = WorldSite(world).recipe, first.planned.plan_hash
    again = edit(world.run, plan_hash, recipe, world.editor, world.store)
    assert (again.already, again.version.number, world.editor.calls) == (True, 1, 1)
    world.store.versions.clear()
    with pytest.raises(EditError, match="another recipe"):
        edit(world.run, plan_hash, replace(recipe, seed=7), world.editor, world.store)
    built = edit(world.run, plan_hash, recipe, world.editor, world.store)
    assert (built.already, built.version.version_hash, built.version.state) == (
        False,
        again.version.version_hash,
        VersionState.PROMOTED,
    )


def test_removed_weights_that_come_out_otherwise_are_not_stored(world: World) -> None:
    first = world.sync()
    world.store.versions.clear()
    world.editor.refuse = {"France": "the subject can't be located"}
    with pytest.raises(EditError, match="comes out as another one"):
        edit(world.run, first.planned.plan_hash, WorldSite(world).recipe, world.editor, world.store)
    assert world.store.hashes() == []


def test_there_is_nothing_to_edit_without_a_plan_or_without_facts(world: World) -> None:
    recipe = WorldSite(world).recipe
    with pytest.raises(NotFound, match="no plan"):
        edit(world.run, "0" * 64, recipe, world.editor, world.store)
    with world.ledger.write() as tx:
        empty = tx.record_plan(edit_plan(), world.clock.now()).plan_hash
    for build in (
        lambda: edit(world.run, empty, recipe, world.editor, world.store),
        lambda: forecast_edit(world.run, empty, world.store),
    ):
        with pytest.raises(EditError, match="holds no facts"):
            build()
    with world.ledger.read() as tx:
        assert tx.versions() == []


def test_a_forecast_numbers_the_version_and_builds_nothing(world: World) -> None:
    with world.ledger.write() as tx:
        plan_hash = tx.record_plan(edit_plan("Paris"), world.clock.now()).plan_hash
    forecast = forecast_edit(world.run, plan_hash, world.store)
    assert (forecast.version.number, forecast.version.state, forecast.already) == (1, VersionState.BUILDING, False)
    assert world.editor.calls == 0 and world.store.hashes() == []
