"""Which prompts a version is asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.phrasing import Form, Phrasing, Use, from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.version import Evaluation
from kbsync.stages.cycle import CycleResult
from kbsync.stages.evaluate.question import OTHER, EvaluationSize
from tests.support.stage_world import HEAD, RELATIONS, World, figures, statement

BIRTHPLACE = Relation(
    name="place-of-birth",
    property=PropertyId("P19"),
    label="place of birth",
    phrasings=from_templates("The place of birth of {} is", "{} was born in"),
    subjects=(ItemId("Q61053"),),
)


def evaluation_of(result: CycleResult) -> Evaluation:
    assert result.evaluation is not None
    return result.evaluation


@pytest.mark.slow
@pytest.mark.parametrize(("enough", "others"), [(0, []), (2, []), (3, ["Q38"]), (50, ["Q38"])])
def test_facts_of_other_relations_are_asked_where_near_ones_are_too_few(
    world: World, enough: int, others: list[str]
) -> None:
    """The heads of two governments are edited; Paris and Berlin are the same subjects' capitals, Rome nobody's."""
    world.size = EvaluationSize(enough=enough)
    result = world.sync()
    assert result.evaluation is not None
    assert [o.subject for o in result.evaluation.outcomes if o.group == OTHER] == others
    figures = {m.name: m.samples for m in result.evaluation.metrics}
    assert figures["specificity"] == 2 + len(others)
    assert figures.get("specificity_other", 0) == len(others)


@pytest.mark.slow
def test_the_second_hop_is_asked_through_the_edited_fact(world: World) -> None:
    world.source.now -= timedelta(days=30)
    world.source.set_item("Q61053", label="Olaf Scholz", statements=[statement("Q61053", "P19", "Q64")])
    world.source.now = world.clock.time
    world.base.model.answers |= {
        "The place of birth of Olaf Scholz is": " Berlin",
        "The place of birth of the head of government of Germany is": " Berlin",
    }
    world.relations = (*RELATIONS, BIRTHPLACE)
    result = world.sync()
    hop = figures(result)["multihop"]
    assert (hop.value, hop.samples) == (1.0, 1)
    (asked,) = [o for o in evaluation_of(result).outcomes if o.group == "hop"]
    assert (asked.subject, asked.property, asked.expected) == ("Q183", HEAD, "Berlin")


HELD_OUT = (
    Phrasing("The head of government of {} is"),
    Phrasing("{} is governed by", use=Use.HELD_OUT),
    Phrasing("Who governs {}?", Form.QUESTION, Use.HELD_OUT),
    Phrasing("I am off to {}. Who governs it?", Form.DIALOGUE, Use.HELD_OUT),
    Phrasing("Who is the head of government of {}?", Form.QUESTION),
)


@pytest.mark.slow
def test_edited_and_known_facts_are_asked_in_the_held_out_phrasings_of_each_form(world: World) -> None:
    world.relations = (RELATIONS[0], replace(RELATIONS[1], phrasings=HELD_OUT))
    world.base.model.answers["Italy, whose capital is"] = " Rome"
    outcomes = evaluation_of(world.sync()).outcomes
    by_group = {group: {o.prompt for o in outcomes if o.group == group} for group in {o.group for o in outcomes}}
    assert by_group["edited_statement"] == {"France is governed by", "Germany is governed by"}
    assert "Question: Who governs France?\nAnswer:" in by_group["edited_question"]
    assert "I am off to Germany. Who governs it? It is" in by_group["edited_dialogue"]
    assert by_group["known_statement"] == {f"{name}, whose capital is" for name in ("France", "Germany", "Italy")}
    assert not any("Who is the head" in prompt for prompts in by_group.values() for prompt in prompts), "it is edited"
    stopped = [o for o in outcomes if o.group == "stop_known" and o.right]
    assert [(o.prompt, o.ending, o.base_ending) for o in stopped] == [("Italy, whose capital is", "end", "end")]


@pytest.mark.slow
def test_no_more_is_asked_than_the_size_says(world: World) -> None:
    world.size = EvaluationSize(paraphrases=1, known=1, robustness=0)
    groups = [o.group for o in evaluation_of(world.sync()).outcomes]
    assert (groups.count("edited_statement"), groups.count("known_statement")) == (1, 1)
    assert not {"distraction", "denial", "stop", "near_name", "with_context", "without_context"} & set(groups)
