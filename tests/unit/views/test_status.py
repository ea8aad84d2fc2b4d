"""Where everything stands, read from the ledger of the small world."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.errors import NotFound
from kbsync.stages.release.promote import rollback
from kbsync.stages.session import writer
from kbsync.views.status import (
    StatusView,
    VersionsView,
    built_version,
    left_out,
    probed_model,
    snapshot,
    status,
    versions,
)
from tests.support.stage_world import START, TTL, World, statement


def read(world: World) -> StatusView:
    with world.ledger.read() as tx:
        return status(tx, world.relations, world.clock.now())


def listed(world: World) -> VersionsView:
    with world.ledger.read() as tx:
        return versions(tx)


def test_an_empty_ledger_has_nothing_to_tell(world: World) -> None:
    view = read(world)
    assert (view.source, view.watermark, view.model, view.plan, view.current, view.newest) == (None,) * 6
    assert (view.at, view.refusals, view.quarantine, view.decisions) == (START, 0, (), ())
    assert [(r.name, r.facts, r.unasked) for r in view.relations] == [("capital", 0, 0), ("head-of-government", 0, 0)]
    assert listed(world) == VersionsView(current=0, versions=())


@pytest.mark.slow
def test_after_a_cycle_facts_plan_and_version_are_counted(world: World) -> None:
    world.sync()
    view = read(world)
    assert (view.source, view.watermark, view.model) == (world.source.name, START, world.base.fingerprint)
    capital, head = view.relations
    assert (capital.facts, capital.believed, capital.waiting, capital.unasked) == (3, 3, 0, 0)
    assert capital.verdicts == {"current": 3, "shaky": 0, "stale": 0, "unknown": 0, "ambiguous": 0}
    assert head.verdicts["stale"] == head.verdicts["unknown"] == 1
    assert view.plan is not None and view.current is not None
    assert (view.plan.add, view.plan.change, view.plan.retract, view.plan.keep, view.plan.refused) == (2, 0, 0, 0, 0)
    assert (view.current.number, view.current.facts, view.current.passed, view.current.predecessor) == (1, 2, True, 0)
    assert view.current.plan == view.plan.hash and view.current == view.newest
    assert {"efficacy", "specificity", "perplexity"} <= {m.name for m in view.current.metrics}
    assert len(view.current.reasons) == len(world.gate)


@pytest.mark.slow
def test_what_is_observed_and_not_yet_trusted_waits(world: World) -> None:
    world.sync()
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(0))
    world.pass_time(timedelta(minutes=1))
    world.sync()
    capital, _ = read(world).relations
    assert (capital.facts, capital.believed, capital.waiting) == (3, 3, 1)


def test_a_version_that_was_rolled_back_is_not_current(world: World) -> None:
    world.sync()
    with writer(world.run, TTL) as held:
        rollback(held, world.store, 0)
    view = read(world)
    assert view.current is None and view.newest is not None
    assert (view.newest.state, view.newest.current) == ("rolled-back", False)
    assert listed(world).current == 0


def test_facts_that_could_not_be_edited_are_not_held(world: World) -> None:
    world.sync()
    with world.ledger.write() as tx:
        body = {"version": 1, "left_out": {"Q142 P6": "the subject is not in the prompt"}}
        tx.append_audit("edit", "test", body, world.clock.now())
    with world.ledger.read() as tx:
        assert left_out(tx)[1] == {"Q142 P6": "the subject is not in the prompt"}
        assert probed_model(tx) == world.base.fingerprint
    (version,) = listed(world).versions
    assert version.facts == 1


def test_a_snapshot_is_status_and_versions_of_one_moment(world: World) -> None:
    world.sync()
    with world.ledger.read() as tx:
        both = snapshot(tx, world.relations, world.clock.now())
        assert both.status == status(tx, world.relations, world.clock.now())
        assert both.versions == versions(tx)


def test_a_version_that_is_not_built_is_refused_by_its_number(world: World) -> None:
    world.sync()
    with world.ledger.read() as tx:
        assert built_version(tx, 1).number == 1
        with pytest.raises(NotFound, match="Version 2 is not built"):
            built_version(tx, 2)
