"""The same questions with the right fact before them and without it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.phrasing import Form, Phrasing, Use
from kbsync.stages.evaluate.question import EvaluationSize
from tests.support.stage_world import RELATIONS, World, figures

HELD_OUT = (
    Phrasing("The head of government of {} is"),
    Phrasing("{} is governed by", use=Use.HELD_OUT),
    Phrasing("Who governs {}?", Form.QUESTION, Use.HELD_OUT),
)
TOLD = "The head of government of Germany is Olaf Scholz."
QUESTION = "Question: Who governs Germany?\nAnswer:"


def asked(world: World) -> dict[str, dict[str, bool]]:
    """By group, the prompts about Germany, and whether the base answers them rightly."""
    result = world.sync()
    assert result.evaluation is not None
    outcomes = [o for o in result.evaluation.outcomes if o.subject == "Q183" and o.group.endswith("_context")]
    return {g: {o.prompt: o.base_right for o in outcomes if o.group == g} for g in ("with_context", "without_context")}


@pytest.fixture
def reading(world: World) -> World:
    """Its base repeats what it reads before the question, and only there."""
    world.relations = (RELATIONS[0], replace(RELATIONS[1], phrasings=HELD_OUT))
    world.base.model.answers |= {f"{TOLD} Germany is governed by": " Olaf Scholz.", f"{TOLD}\n{QUESTION}": " nobody"}
    return world


def test_each_question_is_asked_alone_and_behind_the_fact(reading: World) -> None:
    groups = asked(reading)
    assert groups["without_context"] == {"Germany is governed by": False, QUESTION: False}
    assert groups["with_context"] == {f"{TOLD} Germany is governed by": True, f"{TOLD}\n{QUESTION}": False}


def test_a_version_is_measured_with_and_without_its_facts_in_the_context(reading: World) -> None:
    found = figures(reading.sync())
    told, alone = found["with_context"], found["without_context"]
    assert told.samples == alone.samples == 4
    assert (told.base, alone.base) == (0.25, 0.0)


def test_no_more_questions_are_asked_than_the_size_says(reading: World) -> None:
    reading.size = EvaluationSize(robustness=1)
    assert figures(reading.sync())["with_context"].samples == 1
