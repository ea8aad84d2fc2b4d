"""Which subjects get which other objects, and what is asked of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger.ledger import SqlLedger
from kbsync.research.two_hops import choose_parts, followed, known_facts
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.probe import probe
from kbsync.stages.pull.pull import pull
from tests.support.stage_world import HEAD, LABELS, statement
from tests.support.two_hop_world import NAMES, SCHOLZ, TwoHopWorld, two_hop_world

pytestmark = pytest.mark.slow

FRANCE, GERMANY = FactKey(ItemId("Q142"), HEAD), FactKey(ItemId("Q183"), HEAD)
BOTH = PropertyId("P6/P26")


@pytest.fixture
def world(ledger: SqlLedger) -> TwoHopWorld:
    """The base knows the old heads of government, who they are married to, and nothing newer."""
    world = two_hop_world(ledger)
    world.base.model.answers["The head of government of France is"] = " Jean Castex."
    world.base.model.answers["The head of government of Germany is"] = " Olaf Scholz."
    return world


def known(world: TwoHopWorld) -> BelievedFacts:
    pull(world.run, world.source, world.relations)
    probe(world.run, world.base, world.facts, world.relations, answer_tokens=10)
    return known_facts(world.facts)


def test_each_subject_gets_another_one_s_object_whose_second_hop_is_known(world: TwoHopWorld) -> None:
    facts = known(world)
    real = followed(facts, facts.watched)
    assert {str(key): one.judged.fact.answers[0].label for key, one in real.items()} == {
        "Q142 P6/P26": "Sandra Castex",
        "Q183 P6/P26": "Britta Ernst",
    }
    (part,) = choose_parts(facts, real, 10, 10)
    assert part.subjects == {FRANCE, GERMANY}
    assert {str(key): one.judged.fact.answers[0].label for key, one in part.asked.items()} == {
        "Q142 P6/P26": "Britta Ernst",
        "Q183 P6/P26": "Sandra Castex",
    }
    assert part.facts.watched[FRANCE].fact.answers[0].label == LABELS[SCHOLZ]
    assert part.facts.verdicts[FRANCE].kind == "unknown" and facts.verdicts[FRANCE].kind == "current"
    assert choose_parts(facts, real, 10, 10) == [part]


def test_there_are_no_more_parts_than_the_questions_need(world: TwoHopWorld) -> None:
    facts = known(world)
    real = followed(facts, facts.watched)
    assert [len(part.subjects) for part in choose_parts(facts, real, 10, 1)] == [1, 1]
    assert [len(part.subjects) for part in choose_parts(facts, real, 1, 1)] == [1]


def test_what_has_the_same_answer_either_way_is_not_asked(world: TwoHopWorld) -> None:
    world.source.now = world.clock.time - timedelta(days=30)
    spouse = statement("Q3052772", "P26", "Q9001")
    world.source.set_item("Q3052772", label=LABELS["Q3052772"], statements=[spouse])
    world.source.now = world.clock.time
    world.base.model.answers["Jean Castex is married to"] = f" {NAMES['Q9001']}."
    facts = known(world)
    real = followed(facts, facts.watched)
    assert set(real) == {FactKey(FRANCE.subject, BOTH), FactKey(GERMANY.subject, BOTH)}
    assert choose_parts(facts, real, 10, 10) == []


def test_a_fact_that_the_base_has_wrong_is_no_hop(world: TwoHopWorld) -> None:
    world.base.model.answers["Olaf Scholz is married to"] = " nobody."
    facts = known(world)
    real = followed(facts, facts.watched)
    assert [str(key) for key in real] == ["Q142 P6/P26"]
    (part,) = choose_parts(facts, real, 10, 10)
    assert [str(key) for key in part.asked] == ["Q183 P6/P26"]
