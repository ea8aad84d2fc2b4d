"""What a plan adds, changes, keeps, retracts and guards."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.errors import KbsyncError
from kbsync.domain.plan import Change
from kbsync.domain.reframing import FRAMES_EACH
from kbsync.domain.suspicion import Suspicion
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.plan import plan
from kbsync.stages.probe import probe
from kbsync.stages.pull.pull import pull
from kbsync.stages.session import writer
from tests.support.stage_world import BORNE, CASTEX_ENDED, PARIS, TTL, World, WorldSite, changes


@pytest.mark.slow
def test_a_change_keeps_the_old_facts_and_adds_the_new_one(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(days=4))
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert result.pulled.fetched == 1
    assert changes(result) == {"Q142 P6": Change.CHANGE, "Q183 P6": Change.KEEP}
    assert [r.target for r in result.planned.plan.requests] == ["Élisabeth Borne", "Olaf Scholz"]
    assert world.current == 2


@pytest.mark.slow
def test_a_retracted_fact_is_left_out_of_the_next_version(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, age=timedelta(days=4))
    result = world.sync()
    assert changes(result) == {"Q142 P6": Change.RETRACT, "Q183 P6": Change.KEEP}
    assert result.planned.plan.entries[0].reason == "no statement holds now"
    assert [r.target for r in result.planned.plan.requests] == ["Olaf Scholz"]


def test_half_of_what_the_base_has_right_is_guarded_and_the_rest_is_measured(world: World) -> None:
    world.guard_count = 10
    result = world.sync()
    assert result.planned is not None
    planned = result.planned.plan.guards
    guards = {str(g.key) for g in planned}
    assert guards
    assert result.evaluation is not None
    neighbours = {
        f"{o.subject} {o.property}" for o in result.evaluation.outcomes if o.group in ("neighbour", "subject")
    }
    assert neighbours
    assert not guards & neighbours
    assert world.editor.guarded == {g.id for g in planned}


@pytest.mark.slow
def test_without_verdicts_there_is_no_plan(world: World) -> None:
    pull(world.run, world.source, world.relations)
    with writer(world.run, TTL) as held, pytest.raises(KbsyncError, match="5 facts have no verdict"):
        world.stages.plan(held)
    with world.ledger.read() as tx:
        assert tx.newest_plan() is None


@pytest.mark.slow
def test_a_plan_is_recorded_once_and_one_without_changes_not_at_all(world: World) -> None:
    world.sync()
    with writer(world.run, TTL) as held:
        unchanged = world.stages.plan(held)
        assert unchanged.already and not unchanged.plan.changes
        world.pass_time(timedelta(days=7))
        world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(days=4))
    with writer(world.run, TTL) as held:
        pull(held.run, world.source, world.relations)
        world.stages.probe(held)
        first, second = world.stages.plan(held), world.stages.plan(held)
    assert (first.already, second.already, first.plan_hash) == (False, True, second.plan_hash)
    with world.ledger.read() as tx:
        newest = tx.newest_plan()
        assert newest is not None and newest.plan_hash == first.plan_hash
        assert tx.plan(unchanged.plan_hash) is None
        assert len(tx.audit(kind="plan")) == 2


def test_a_version_holds_no_more_facts_than_the_policy_allows(world: World) -> None:
    world.max_facts = 1
    planned = world.sync().planned.plan
    assert (len(planned.requests), len(planned.refused)) == (1, 1)


def test_suspicious_facts_are_refused_only_while_current_does_not_hold_them(world: World) -> None:
    pull(world.run, world.source, world.relations)
    probe(world.run, world.base, world.facts, world.relations, answer_tokens=10)
    recipe, distrustful = WorldSite(world).recipe, replace(world.settings.plan, suspicion=Suspicion(per_subject=0))
    refused = plan(world.run, world.facts, recipe, distrustful).plan.refused
    assert {str(r.key): r.reason.partition(":")[0] for r in refused} == {"Q142 P6": "a flood", "Q183 P6": "a flood"}
    world.sync()
    assert plan(world.run, world.facts, recipe, distrustful).plan.refused == ()


def test_a_recipe_that_practises_gets_further_frames_with_every_fact_and_guard(world: World) -> None:
    world.guard_count = 10
    world.sync()
    recipe = replace(WorldSite(world).recipe, phrasings="all", refine_epochs=1)
    unpractised = plan(world.run, world.facts, recipe, world.settings.plan).plan
    practised = plan(world.run, world.facts, replace(recipe, refine_frames=True), world.settings.plan).plan
    assert not any(one.practised for one in (*unpractised.requests, *unpractised.guards))
    assert practised.requests and practised.guards
    for one in practised.requests:
        assert len(one.practised) == FRAMES_EACH * (1 + len(one.phrasings))
        assert not {one.template, *(p.template for p in one.phrasings)} & {p.template for p in one.practised}
    assert all(len(one.practised) == FRAMES_EACH * (1 + len(one.phrasings)) for one in practised.guards)
    assert practised.build_hash != unpractised.build_hash
