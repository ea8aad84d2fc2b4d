"""Which facts recipes are compared on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.domain.errors import DataError
from kbsync.domain.fact import FactKey
from kbsync.domain.judging import asserts
from kbsync.domain.plan import EditPlan, Refusal
from kbsync.domain.verdict import VerdictKind
from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.evaluate.question_set import questions
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.plan import draft
from kbsync.stages.tune.development import Development, choose_development
from tests.support.stage_world import World, WorldSite
from tests.support.tuning_world import judged_facts, tuning_world


def planned(world: World, facts: BelievedFacts) -> EditPlan:
    return draft(world.run, facts, WorldSite(world).named, world.settings.plan)


def chosen(world: World, facts: BelievedFacts) -> Development:
    plan = planned(world, facts)
    asked = {q.prompt for q in questions(facts, plan.requests, plan.guards, world.size, {})}
    return choose_development(facts, plan, WorldSite(world).named, asked)


def test_a_fact_that_the_gate_asks_as_a_near_name_is_left_out(big: World) -> None:
    facts = judged_facts(big)
    near = chosen(big, facts).requests[0]
    plan, recipe = planned(big, facts), WorldSite(big).named
    assert near.key not in choose_development(facts, plan, recipe, [near.prompt]).facts.watched


@pytest.fixture
def big(ledger: SqlLedger, tmp_path: Path) -> World:
    return tuning_world(ledger, tmp_path)


@pytest.mark.slow
def test_nothing_of_them_is_asked_by_the_gate(big: World) -> None:
    facts = judged_facts(big)
    plan = planned(big, facts)
    asked = questions(facts, plan.requests, plan.guards, big.size, {})
    development = chosen(big, facts)
    assert len(development.requests) >= 5 and len(development.guards) >= 3 and len(development.facts.watched) >= 20
    assert not {q.key for q in asked} & development.facts.watched.keys()
    assert not {q.prompt for q in asked} & {r.prompt for r in development.requests}


@pytest.mark.slow
def test_a_known_fact_is_written_with_another_one_s_answer(big: World) -> None:
    development = chosen(big, judged_facts(big))
    for request in development.requests:
        _, fact = development.facts.watched[request.key]
        assert not asserts(request.target, [name for answer in fact.answers for name in answer.names])
        assert request.value_hash != fact.value_hash


def test_written_guarded_and_asked_facts_are_different_ones(big: World) -> None:
    development = chosen(big, judged_facts(big))
    written, guarded = {r.key for r in development.requests}, {g.key for g in development.guards}
    asked = development.asked_beside(development.first(3)).watched.keys() - written - guarded
    assert not written & guarded
    assert len(asked) >= 4


def test_the_first_ones_of_a_small_trial_are_those_of_a_large_one(big: World) -> None:
    development = chosen(big, judged_facts(big))
    assert {r.key for r in development.first(3)} < {r.key for r in development.first(6)}


def test_facts_that_no_version_will_hold_are_written_as_they_are(big: World) -> None:
    facts = judged_facts(big)
    shaky = next(iter(facts.watched))
    facts = replace(
        facts,
        verdicts={k: replace(v, kind=VerdictKind.SHAKY) if k == shaky else v for k, v in facts.verdicts.items()},
    )
    development = chosen(big, facts)
    (request,) = (r for r in development.requests if r.key == shaky)
    assert request.value_hash == facts.watched[shaky].fact.value_hash


def test_what_a_plan_has_no_room_for_is_used_and_what_it_holds_back_is_not(big: World) -> None:
    """A fact that is held back as suspicious may be wrong, or can't be written by any recipe."""
    facts = judged_facts(big)
    plan, recipe = planned(big, facts), WorldSite(big).named
    some, rest = plan.requests[:2], plan.requests[2:]
    keys = {request.key for request in some}

    def used(reason: str) -> set[FactKey]:
        refused = tuple(Refusal(key=key, reason=reason) for key in sorted(keys))
        entries = tuple(e for e in plan.entries if e.request in rest)
        smaller = replace(plan, entries=entries, refused=refused)
        return {r.key for r in choose_development(facts, smaller, recipe).requests} & keys

    assert used("over the limit of 2 facts in one version") == keys
    assert used("quarantined: it broke version 3") == set()


@pytest.mark.slow
def test_too_few_known_facts_say_how_many_more(ledger: SqlLedger, tmp_path: Path) -> None:
    world = tuning_world(ledger, tmp_path, lands=12)
    with pytest.raises(DataError, match=r"the base knows \d of the facts .* and 10 are needed") as raised:
        chosen(world, judged_facts(world))
    known = int(raised.value.what.split("knows ")[1].split()[0])
    assert f"{2 * (10 - known)} more facts" in raised.value.next_step
