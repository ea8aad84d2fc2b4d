"""What follows from planned facts, as a part of the plan."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

from kbsync.domain.consequence import two_hop_relations, with_consequences
from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import Phrasing
from kbsync.domain.plan import Change, EditPlan, EditRequest, make_plan
from kbsync.domain.relation import Cardinality, Implied, Relation
from kbsync.domain.statement import ItemId, PropertyId

HEAD, SPOUSE, BOTH = PropertyId("P6"), PropertyId("P26"), PropertyId("P6/P26")


def cause(item: int, target: str = "Ann", value: str = "") -> EditRequest:
    return EditRequest(
        key=FactKey(ItemId(f"Q{item}"), HEAD),
        subject=f"Country {item}",
        template="The head of government of {} is",
        target=target,
        value_hash=value or f"hash of {target}",
        revision=1,
        base_answer=" nobody",
    )


def follows(item: int, target: str = "Bob", person: int = 100) -> EditRequest:
    return EditRequest(
        key=FactKey(ItemId(f"Q{item}"), BOTH),
        subject=f"Country {item}",
        template="The spouse of the head of government of {} is",
        target=target,
        value_hash=f"hash of {target}",
        revision=2,
        follows_from=(FactKey(ItemId(f"Q{item}"), HEAD), FactKey(ItemId(f"Q{person}"), SPOUSE)),
    )


def facts_alone(wanted: list[EditRequest], active: tuple[EditRequest, ...] = (), limit: int | None = None) -> EditPlan:
    return make_plan(
        wanted,
        {r.key: r for r in active},
        base_fingerprint="base",
        recipe_fingerprint="recipe",
        predecessor=0,
        limit=limit,
    )


def added(plan: EditPlan, following: list[EditRequest], held: tuple[EditRequest, ...] = (), **more: object) -> EditPlan:
    options: dict[str, object] = {"quarantined": {}, "gone": {}, "limit": None} | more
    return with_consequences(plan, following, {r.key: r for r in held}, **options)  # type: ignore[arg-type]


def said(plan: EditPlan) -> dict[str, tuple[Change, str]]:
    return {str(e.key): (e.change, e.reason) for e in plan.entries}


def test_relations_in_two_hops_are_those_of_which_both_are_watched() -> None:
    words = (Phrasing("The spouse of the head of government of {} is"),)
    spouse = Relation(name="spouse", property=SPOUSE, label="spouse", phrasings=(), cardinality=Cardinality.SET)
    head = Relation(
        name="head",
        property=HEAD,
        label="head of government",
        phrasings=(),
        language="fr",
        implies=(Implied("spouse", words), Implied("child", words)),
    )
    (both,) = two_hop_relations([head, spouse])
    assert (both.name, both.property, both.label) == ("head/spouse", "P6/P26", "spouse of the head of government")
    assert (both.hops, both.phrasings, both.language) == ((head, spouse), words, "fr")
    assert both.cardinality is Cardinality.SET
    assert two_hop_relations([head]) == two_hop_relations([spouse]) == ()


def test_without_consequences_a_plan_stays_as_it_is() -> None:
    plan = facts_alone([cause(1)])
    assert added(plan, []) == plan


def test_consequences_stand_beside_their_causes_and_say_what_they_follow_from() -> None:
    plan = added(facts_alone([cause(1), cause(2)]), [follows(2), follows(1)])
    assert [str(e.key) for e in plan.entries] == ["Q1 P6", "Q1 P6/P26", "Q2 P6", "Q2 P6/P26"]
    assert said(plan)["Q1 P6/P26"] == (Change.ADD, "follows from Q1 P6 and Q100 P26")
    assert plan.build_hash != facts_alone([cause(1), cause(2)]).build_hash


def test_a_consequence_changes_stays_and_goes() -> None:
    plan = added(
        facts_alone([cause(1), cause(2), cause(3)], (cause(1), cause(2), cause(3), cause(4))),
        [follows(1, "Eve"), follows(2)],
        (follows(1), follows(2), follows(3), follows(4)),
        gone={follows(3).key: "Q100 P26: nothing is believed"},
    )
    assert said(plan)["Q1 P6/P26"] == (Change.CHANGE, "'Bob' → 'Eve'; follows from Q1 P6 and Q100 P26")
    assert said(plan)["Q2 P6/P26"] == (Change.KEEP, "unchanged")
    assert said(plan)["Q3 P6/P26"] == (Change.RETRACT, "Q100 P26: nothing is believed")
    assert said(plan)["Q4 P6/P26"] == (Change.RETRACT, "its cause Q4 P6 is not written: no longer wanted")
    assert not plan.refused


def test_where_there_is_no_room_consequences_are_dropped_and_those_that_are_held_last() -> None:
    plan = added(facts_alone([cause(1), cause(2)]), [follows(1), follows(2)], (follows(2),), limit=3)
    assert said(plan)["Q2 P6/P26"][0] is Change.KEEP and "Q1 P6/P26" not in said(plan)
    (refused,) = plan.refused
    assert refused.reason == "over the limit of 3 facts in one version, in which facts come before their consequences"
    full = added(facts_alone([cause(1), cause(2)], limit=1), [follows(1), follows(2)], limit=1)
    assert [str(r.key) for r in full.requests] == ["Q1 P6"]
    assert {str(r.key) for r in full.refused} == {"Q1 P6/P26", "Q2 P6"}


def test_more_than_a_hundred_without_room_are_counted() -> None:
    causes, following = [cause(n) for n in range(1, 151)], [follows(n) for n in range(1, 151)]
    plan = added(facts_alone(causes), following, limit=160)
    assert (len(plan.requests), len(plan.refused), plan.unlisted) == (160, 100, 40)
    assert plan.counts.refused == 140


def test_a_consequence_gives_way_to_a_fact_and_two_that_disagree_are_both_refused() -> None:
    fact = replace(cause(9, "Zoe"), template=follows(1).template, subject="Country 1")
    assert "same prompt" in added(facts_alone([cause(1), fact]), [follows(1)]).refused[0].reason
    twins = [replace(follows(n, name), subject="Twin") for n, name in ((1, "Bob"), (2, "Eve"))]
    plan = added(facts_alone([cause(1), cause(2)]), twins)
    assert {str(r.key) for r in plan.refused} == {"Q1 P6/P26", "Q2 P6/P26"}
    assert {str(r.key) for r in plan.requests} == {"Q1 P6", "Q2 P6"}


def test_one_in_quarantine_is_refused_and_retracted() -> None:
    key = follows(1).key
    plan = added(facts_alone([cause(1)]), [follows(1)], (follows(1),), quarantined={key: "it drifts"})
    assert said(plan)[str(key)] == (Change.RETRACT, "quarantined: it drifts")
    assert [(r.key, r.reason) for r in plan.refused] == [(key, "quarantined: it drifts")]


@pytest.mark.parametrize("seed", range(200))
def test_no_consequence_is_ever_written_without_its_cause(seed: int) -> None:
    drawn = random.Random(seed)
    numbers = range(1, 9)

    def some(make: Callable[[int, str], EditRequest], share: float) -> list[EditRequest]:
        return [make(n, drawn.choice("ABC")) for n in numbers if drawn.random() < share]

    limit = drawn.choice([None, 2, 5, 9])
    held = tuple(some(follows, 0.5))
    facts = facts_alone(some(cause, 0.6), tuple(some(cause, 0.5)), limit)
    plan = added(facts, some(follows, 0.7), held, limit=limit)
    written = {r.key for r in plan.requests}
    assert all(r.follows_from[0] in written for r in plan.requests if r.follows_from)
    assert {e.key for e in plan.entries if e.previous} >= {r.key for r in held}
    assert limit is None or len(plan.requests) <= limit
    assert {r.id for r in facts.requests} <= {r.id for r in plan.requests}, "no fact gives way to a consequence"
    assert all(e.reason for e in plan.entries) and list(plan.entries) == sorted(plan.entries, key=lambda e: e.key)
