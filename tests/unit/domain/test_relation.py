"""Relations: their phrasings, in the frames of a model."""

from __future__ import annotations

from kbsync.domain.phrasing import Form, Frames, Phrasing, Use
from kbsync.domain.relation import Relation
from kbsync.domain.statement import PropertyId

QUESTION = Phrasing("What is the capital of {}?", Form.QUESTION)
FIRST, SECOND = Phrasing("The capital of {} is"), Phrasing("{}, whose capital is")
DIALOGUE = Phrasing("I am in {}. Which city is the capital?", Form.DIALOGUE, Use.HELD_OUT)
CAPITAL = Relation(
    name="capital", property=PropertyId("P36"), label="capital", phrasings=(QUESTION, DIALOGUE, FIRST, SECOND)
)
CHAT = Frames.chat("<user>{}<assistant>")


def test_phrasings_are_chosen_by_use_and_form_with_the_statements_first() -> None:
    assert CAPITAL.of(Use.EDIT) == (FIRST, SECOND, QUESTION)
    assert CAPITAL.of(Use.EDIT, Form.QUESTION) == (QUESTION,)
    assert CAPITAL.of(Use.EDIT, Form.DIALOGUE) == ()
    assert CAPITAL.of(Use.HELD_OUT) == (DIALOGUE,)


def test_templates_are_phrasings_in_their_frames() -> None:
    assert CAPITAL.templates(Use.EDIT) == (FIRST.text, SECOND.text, "Q: What is the capital of {}?\nA:")
    chat = CAPITAL.framed(CHAT)
    assert chat.templates(Use.EDIT, Form.QUESTION) == ("<user>What is the capital of {}?<assistant>",)
    assert chat.templates(Use.HELD_OUT) == ("<user>I am in {}. Which city is the capital?<assistant>",)
    assert CAPITAL.templates(Use.EDIT, Form.QUESTION) == ("Q: What is the capital of {}?\nA:",)


def test_the_prompt_is_the_first_edit_phrasing() -> None:
    assert CAPITAL.prompt("France") == "The capital of France is"
    only_question = Relation(name="capital", property=PropertyId("P36"), label="capital", phrasings=(QUESTION,))
    assert only_question.prompt("France") == "Q: What is the capital of France?\nA:"
    assert only_question.framed(CHAT).prompt("{}") == "<user>What is the capital of {}?<assistant>"
