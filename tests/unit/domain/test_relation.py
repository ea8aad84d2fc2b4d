"""Relations: their phrasings, in the frames of a model."""

from __future__ import annotations

from dataclasses import replace

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


def test_probing_asks_the_prompt_then_a_question_then_another_statement() -> None:
    more = (Phrasing("Say the capital of {}.", Form.DIALOGUE), Phrasing("{} is ruled from"))
    relation = replace(CAPITAL, phrasings=(*CAPITAL.phrasings, *more))
    order = (
        "The capital of {} is",
        "Q: What is the capital of {}?\nA:",
        "{}, whose capital is",
        "Say the capital of {}. That would be",
        "{} is ruled from",
    )
    for count in range(1, 8):
        assert replace(relation, probed=count).asked == order[:count]


def test_a_verdict_holds_for_the_words_that_are_asked_and_no_others() -> None:
    asked = replace(CAPITAL, probed=2)
    other_words = replace(asked, phrasings=(*asked.phrasings, Phrasing("{} has as capital", use=Use.HELD_OUT)))
    assert other_words.template_hash == asked.template_hash
    assert len({asked.template_hash, CAPITAL.template_hash, asked.framed(CHAT).template_hash}) == 3
