"""Phrasings, frames, and what a set of phrasings lacks."""

from __future__ import annotations

import pytest

from kbsync.domain.phrasing import (
    PLAIN,
    Form,
    FramedPhrasing,
    Frames,
    Phrasing,
    Use,
    fill,
    framed,
    from_templates,
    in_both_uses,
    shortages,
    template,
)

QUESTION = "Who leads {}?"


@pytest.mark.parametrize(
    ("form", "use", "expected"),
    [
        (Form.STATEMENT, Use.EDIT, "Who leads {}?"),
        (Form.QUESTION, Use.EDIT, "Q: Who leads {}?\nA:"),
        (Form.DIALOGUE, Use.EDIT, "Who leads {}? That would be"),
        (Form.STATEMENT, Use.HELD_OUT, "Who leads {}?"),
        (Form.QUESTION, Use.HELD_OUT, "Question: Who leads {}?\nAnswer:"),
        (Form.DIALOGUE, Use.HELD_OUT, "Who leads {}? It is"),
    ],
)
def test_a_phrasing_in_its_plain_frame(form: Form, use: Use, expected: str) -> None:
    assert template(Phrasing(QUESTION, form, use)) == expected


def test_no_question_has_the_same_plain_frame_in_both_uses() -> None:
    for form in (Form.QUESTION, Form.DIALOGUE):
        assert PLAIN.of(Use.EDIT, form) != PLAIN.of(Use.HELD_OUT, form)


def test_a_chat_model_gets_its_turn_for_questions_and_dialogue_and_plain_statements() -> None:
    frames = Frames.chat("<|user|>{}<|assistant|>\n")
    for use in Use:
        assert template(Phrasing(QUESTION, Form.QUESTION, use), frames) == "<|user|>Who leads {}?<|assistant|>\n"
        assert template(Phrasing(QUESTION, Form.DIALOGUE, use), frames) == "<|user|>Who leads {}?<|assistant|>\n"
        assert template(Phrasing("{} is led by", Form.STATEMENT, use), frames) == "{} is led by"


@pytest.mark.parametrize("frame", ["Q:", "{} {}"])
def test_a_frame_without_one_place_for_the_question_is_refused(frame: str) -> None:
    with pytest.raises(ValueError, match=r"the frame of held_out question phrasings must hold \{\} exactly once"):
        Frames(held_out_question=frame)


def test_the_subject_may_hold_braces() -> None:
    framed = template(Phrasing(QUESTION, Form.QUESTION))
    assert fill(framed, "The {} Company {0}") == "Q: Who leads The {} Company {0}?\nA:"


def test_old_templates_are_statements_of_which_the_first_is_edited() -> None:
    assert from_templates("{} is", "{} was", "{} has") == (
        Phrasing("{} is", Form.STATEMENT, Use.EDIT),
        Phrasing("{} was", Form.STATEMENT, Use.HELD_OUT),
        Phrasing("{} has", Form.STATEMENT, Use.HELD_OUT),
    )


def test_the_same_words_in_both_uses_are_found_whatever_their_case_accents_and_marks() -> None:
    edit = Phrasing("Où est {} ?", Form.QUESTION)
    same = Phrasing("“Ou est {}?”", Form.DIALOGUE, Use.HELD_OUT)
    others = [Phrasing("Où {} est ?", Form.QUESTION, Use.HELD_OUT), Phrasing("Où est {} ?", Form.STATEMENT)]
    assert list(in_both_uses([edit, *others])) == []
    assert list(in_both_uses([edit, same])) == [(edit, same)]


def test_what_a_relation_lacks() -> None:
    enough = [
        Phrasing(f"{form} {number} {{}}", form, use)
        for use in Use
        for form, count in ((Form.STATEMENT, 2), (Form.QUESTION, 2), (Form.DIALOGUE, 1))
        for number in range(count)
    ]
    assert shortages(enough) == []
    assert shortages(enough[1:]) == ["4 edit phrasings where there should be 5"]
    no_question = [p for p in enough if p.form is not Form.QUESTION or p.use is Use.EDIT]
    assert shortages(no_question) == [
        "3 held_out phrasings where there should be 5",
        "0 held_out questions where there should be 2",
    ]


def test_a_framed_phrasing_says_what_ends_its_answer() -> None:
    question = Phrasing("Who leads {}?", Form.QUESTION)
    assert framed(Phrasing("{} is led by")) == FramedPhrasing("{} is led by", ".")
    assert framed(question) == FramedPhrasing("Q: Who leads {}?\nA:", "\n")
    chat = Frames.chat("<user>{}<model>\n", "<end>")
    assert framed(question, chat) == FramedPhrasing("<user>Who leads {}?<model>\n", "<end>")
    assert framed(Phrasing("{} is led by"), chat).end == "."


def test_marks_that_tell_words_apart_make_two_wordings() -> None:
    assert Phrasing("रोम {} है").wording != Phrasing("राम {} है").wording
    assert Phrasing("Où est {} ?").wording == Phrasing("ou est {}").wording
