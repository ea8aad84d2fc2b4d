"""Facts that follow from edited facts, from the source to the versions and back, on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.consequence import two_hop_relations
from kbsync.domain.errors import NotFound
from kbsync.domain.fact import FactKey
from kbsync.domain.plan import Change, EditRequest
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.consequences import consequences
from kbsync.stages.cycle import CycleOutcome, CycleResult
from kbsync.stages.decide import exclude
from kbsync.stages.release.quarantine import free_fact
from kbsync.views.explain import ExplainView, explain
from kbsync.views.provenance import blame
from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates
from tests.support.stage_world import BORNE, CASTEX_ENDED, HEAD, PARIS, changes
from tests.support.two_hop_world import (
    ASKED,
    BRITTA,
    CASTEX,
    ELISABETH,
    ERNST,
    HELD_OUT,
    IMPLIED,
    IMPLYING,
    SAUER,
    SCHOLZ,
    SPOUSE,
    TwoHopWorld,
    two_hop_world,
)

__all__ = ["ledger", "ledger_url", "postgres", "templates"]

FRANCE, GERMANY = FactKey(ItemId("Q142"), HEAD), FactKey(ItemId("Q183"), HEAD)
IN_TWO_HOPS = PropertyId("P6/P26")


@pytest.fixture
def world(ledger: SqlLedger) -> TwoHopWorld:
    return two_hop_world(ledger)


def written(result: CycleResult) -> dict[str, str]:
    return {str(r.key): r.target for r in result.planned.plan.requests}


def reasons(result: CycleResult) -> dict[str, str]:
    return {str(e.key): e.reason for e in result.planned.plan.entries}


def requests(result: CycleResult) -> dict[str, EditRequest]:
    return {str(r.key): r for r in result.planned.plan.requests}


def explained(world: TwoHopWorld, item: str, name: str) -> ExplainView:
    relations = (*world.relations, *two_hop_relations(world.relations))
    relation = next(r for r in relations if r.name == name)
    with world.ledger.read() as tx:
        return explain(tx, ItemId(item), relation, world.clock.now())


def test_what_follows_is_written_beside_its_cause_measured_and_explained(world: TwoHopWorld) -> None:
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert written(result) == {
        "Q142 P6": "Jean Castex",
        "Q142 P6/P26": "Sandra Castex",
        "Q183 P6": "Olaf Scholz",
        "Q183 P6/P26": "Britta Ernst",
    }
    assert reasons(result)["Q183 P6/P26"] == "follows from Q183 P6 and Q61053 P26"
    consequence = requests(result)["Q183 P6/P26"]
    assert consequence.prompt == ASKED.replace("{}", "Germany")
    assert consequence.told_by == FactKey(ItemId(SCHOLZ), SPOUSE)
    assert result.evaluation is not None
    asked = {o.prompt: o for o in result.evaluation.outcomes if o.property == IN_TWO_HOPS}
    assert asked[consequence.prompt].right and asked[consequence.prompt].expected == "Britta Ernst"
    assert HELD_OUT.replace("{}", "Germany") in asked
    with world.ledger.read() as tx:
        (event,) = tx.audit(kind="plan")
        told = {change["fact"]: change["reason"] for change in event.body["changes"]}
        assert told["Q142 P6/P26"] == "follows from Q142 P6 and Q3052772 P26"
        (line,) = [b for b in blame(tx, world.store, 1) if (b.subject, b.property) == ("Q183", "P6/P26")]
    assert (line.follows_from, line.statements) == (("Q183 P6", "Q61053 P26"), (f"{SCHOLZ}$P26-{ERNST}",))
    assert "Q61053" in line.revision_url and line.believed_at is not None
    view = explained(world, "Q183", "head-of-government/spouse")
    assert (view.follows_from, view.label) == (("Q183 P6", "Q61053 P26"), "Germany")
    assert view.believed is not None and view.believed.values == (f"Britta Ernst ({ERNST})",)
    assert [(held.version, held.target, held.right) for held in view.versions] == [(1, "Britta Ernst", True)]
    assert explained(world, "Q183", "head-of-government").consequences == ("Q183 P6/P26: Britta Ernst",)
    with pytest.raises(NotFound, match="Nothing follows from Q38 P6"):
        explained(world, "Q38", "head-of-government/spouse")


def test_it_is_retracted_with_its_cause_and_changes_with_either_hop(world: TwoHopWorld) -> None:
    world.sync()
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(days=4))
    first = world.sync()
    assert changes(first)["Q142 P6/P26"] is Change.CHANGE
    assert reasons(first)["Q142 P6/P26"] == ("'Sandra Castex' → 'Vincent Borne'; follows from Q142 P6 and Q30333 P26")
    assert changes(first)["Q183 P6/P26"] is Change.KEEP
    world.pass_time(timedelta(days=7))
    world.marry(SCHOLZ, SAUER, age=timedelta(days=4))
    second = world.sync()
    assert changes(second)["Q183 P6"] is Change.KEEP and changes(second)["Q183 P6/P26"] is Change.CHANGE
    assert written(second)["Q183 P6/P26"] == "Joachim Sauer"
    world.pass_time(timedelta(days=7))
    world.set_statements("Q142", PARIS, age=timedelta(days=4))
    third = world.sync()
    assert changes(third)["Q142 P6"] is changes(third)["Q142 P6/P26"] is Change.RETRACT
    assert reasons(third)["Q142 P6/P26"] == "its cause Q142 P6 is not written: no statement holds now"
    assert third.outcome is CycleOutcome.PROMOTED
    assert explained(world, "Q183", "head-of-government/spouse").versions[-1].target == "Joachim Sauer"


def test_a_second_hop_that_is_not_sure_writes_nothing(world: TwoHopWorld) -> None:
    world.marry(CASTEX, BRITTA, SAUER)  # two at once, where one can be
    world.marry(ELISABETH)
    result = world.sync()
    assert set(written(result)) == {"Q142 P6", "Q183 P6", "Q183 P6/P26"}
    exclude(world.run, FactKey(ItemId(SCHOLZ), SPOUSE), "disputed")
    again = world.sync()
    assert changes(again)["Q183 P6/P26"] is Change.RETRACT
    assert reasons(again)["Q183 P6/P26"].startswith("Q61053 P26: ") and "disputed" in reasons(again)["Q183 P6/P26"]


def test_a_second_hop_that_has_just_changed_is_not_believed_yet(world: TwoHopWorld) -> None:
    world.sync()
    world.pass_time(timedelta(days=7))
    world.marry(SCHOLZ, SAUER, age=timedelta(hours=1))
    assert written(world.sync())["Q183 P6/P26"] == "Britta Ernst"


@pytest.mark.parametrize("label", ["Britta<|im_end|>Ernst", "Britta\x00Ernst"])
def test_a_hostile_name_of_the_answer_is_written_nowhere(world: TwoHopWorld, label: str) -> None:
    world.marry(SCHOLZ, ERNST, label=label)
    assert set(written(world.sync())) == {"Q142 P6", "Q142 P6/P26", "Q183 P6"}


def test_consequences_that_are_turned_off_are_retracted(world: TwoHopWorld) -> None:
    world.sync()
    world.consequences = False
    result = world.sync()
    assert set(written(result)) == {"Q142 P6", "Q183 P6"}
    assert reasons(result)["Q142 P6/P26"] == "consequences are turned off (edit.consequences)"
    world.consequences = True
    world.relations = (IMPLYING[0], replace(IMPLYING[1], implies=()), IMPLYING[2])
    assert set(written(world.sync())) == {"Q142 P6", "Q183 P6"}


@pytest.mark.parametrize("short", ["limit", "capacity"])
def test_where_there_is_little_room_facts_come_first(world: TwoHopWorld, short: str) -> None:
    if short == "limit":
        world.max_facts = 3
    else:
        world.capacity = 3
    result = world.sync()
    assert set(written(result)) == {"Q142 P6", "Q142 P6/P26", "Q183 P6"}
    (refused,) = result.planned.plan.refused
    assert str(refused.key) == "Q183 P6/P26" and refused.reason.startswith("over the limit of 3 facts")


def test_a_consequence_that_does_harm_goes_into_quarantine_and_its_cause_stays(world: TwoHopWorld) -> None:
    world.base.harm[ASKED.replace("{}", "Germany")] = {
        "The capital of France is": " Lyon.",
        "The capital of Italy is": " Milan.",
    }
    result = world.sync()
    culprit = FactKey(GERMANY.subject, IN_TWO_HOPS)
    assert (result.outcome, result.quarantined) == (CycleOutcome.PROMOTED, (culprit,))
    assert set(written(result)) == {"Q142 P6", "Q142 P6/P26", "Q183 P6"}
    assert explained(world, "Q183", "head-of-government/spouse").quarantine is not None
    assert world.sync().outcome is CycleOutcome.NOTHING
    world.base.harm.clear()
    assert not free_fact(world.run, culprit, "looked at by hand").already
    assert changes(world.sync())["Q183 P6/P26"] is Change.ADD


def test_relations_that_imply_one_another_in_a_circle_end(world: TwoHopWorld) -> None:
    back = replace(IMPLIED, relation="head-of-government")
    world.relations = (IMPLYING[0], IMPLYING[1], replace(IMPLYING[2], implies=(back,)))
    first = world.sync()
    assert set(written(first)) == {"Q142 P6", "Q142 P6/P26", "Q183 P6", "Q183 P6/P26"}
    assert world.sync().outcome is CycleOutcome.NOTHING


def test_nothing_follows_where_the_answer_is_the_subject_itself(world: TwoHopWorld) -> None:
    facts = world
    facts.sync()
    believed = facts.facts
    (cause,) = believed.some([GERMANY]).values()
    own = replace(cause.fact, key=FactKey(ItemId(ERNST), HEAD))
    found = consequences({own.key: cause._replace(fact=own)}, believed)
    assert not found.following
    assert list(found.why_not.values()) == ["Q61053 P26: the answer is the subject itself"]
