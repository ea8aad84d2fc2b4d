"""How a question is put, and how samples are drawn."""

from __future__ import annotations

from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import Form, Frames, Phrasing, Use
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.stages.evaluate.question import EDITED, Question, ask, sample, spread_sample
from tests.support.stage_world import RELATIONS


def question(subject: int, prompt: str) -> Question:
    key = FactKey(ItemId(f"Q{subject}"), PropertyId("P36"))
    return Question(group=EDITED, key=key, prompt=prompt, names=("Oslo",))


MANY = [question(subject, f"prompt {n}") for subject in range(1, 11) for n in range(5)]


def test_no_fact_is_asked_twice_before_each_has_been_asked_once() -> None:
    assert len({q.key for q in spread_sample(MANY, 10)}) == 10
    counts = [q.key for q in spread_sample(MANY, 25)]
    assert {counts.count(key) for key in set(counts)} == {2, 3}
    assert len({q.key for q in sample(MANY, 10)}) < 10, "drawn without regard to facts"


def test_the_same_questions_are_drawn_in_whatever_order_they_come() -> None:
    assert spread_sample(reversed(MANY), 7) == spread_sample(MANY, 7)
    assert spread_sample(MANY, 99) == sorted(MANY, key=lambda q: (q.key, q.prompt))


def test_what_is_said_first_stands_inside_the_frame_and_braces_of_names_stay() -> None:
    relation = RELATIONS[0].framed(Frames.chat("<user>{}<model>"))
    asked = Phrasing("What is the capital of {}?", Form.QUESTION, Use.HELD_OUT)
    assert ask(relation, asked, "{Norway}", before="So. ") == "<user>So. What is the capital of {Norway}?<model>"
