"""Phrasings in further frames: each in some, never in a held-out frame, drawn by content."""

from __future__ import annotations

from kbsync.domain.phrasing import PLAIN, Form, Frames, Phrasing, Use, fill
from kbsync.domain.reframing import FRAMES_EACH, reframed

PHRASINGS = (
    Phrasing("The capital of {} is"),
    Phrasing("Which city is the capital of {}?", Form.QUESTION),
    Phrasing("I am off to {}. What is the capital?", Form.DIALOGUE),
    Phrasing("{} is governed from", use=Use.HELD_OUT),
)
SUBJECTS = [f"Country {n}" for n in range(60)]
CHAT = Frames.chat("<user>{}</user>\n", "</answer>")


def templates(frames: Frames = PLAIN, language: str = "en") -> list[set[str]]:
    """For each edit phrasing, every template that one of the subjects draws."""
    drawn = [reframed(PHRASINGS, frames, language, subject) for subject in SUBJECTS]
    return [{one.template for some in drawn for one in some if p.text in one.template} for p in PHRASINGS[:3]]


def test_each_edit_phrasing_is_practised_in_several_frames_and_no_other() -> None:
    for subject in SUBJECTS:
        practised = reframed(PHRASINGS, PLAIN, "en", subject)
        assert len({one.template for one in practised}) == len(practised) == 3 * FRAMES_EACH
        for place, one in enumerate(practised):
            assert PHRASINGS[place // FRAMES_EACH].text in one.template
            assert one.template.count("{}") == 1 and one.end


def test_no_template_is_written_or_held_out() -> None:
    for frames in (PLAIN, CHAT):
        used = {fill(frames.of(use, p.form), p.text) for use in Use for p in PHRASINGS}
        assert not used & set().union(*templates(frames))


def test_facts_of_a_relation_are_practised_in_many_frames() -> None:
    statement, question, dialogue = templates()
    assert len(statement) >= 3 and len(question) > 12 and len(dialogue) > 12


def test_a_chat_model_is_also_practised_in_its_own_turn() -> None:
    _, question, dialogue = templates(CHAT)
    for seen in (question, dialogue):
        turns = [template for template in seen if template.startswith("<user>")]
        assert len(turns) >= 3 and all(template.endswith("</user>\n") for template in turns)
    ends = {one.end for s in SUBJECTS for one in reframed(PHRASINGS, CHAT, "en", s) if one.template.startswith("<user")}
    assert ends == {"</answer>"}


def test_another_language_gets_frames_without_words() -> None:
    for seen, phrasing in zip(templates(language="de"), PHRASINGS, strict=False):
        assert seen
        for template in seen:
            around = template.replace(phrasing.text, "").replace("Q:", "").replace("A:", "")
            assert not any(c.isalpha() for c in around), template


def test_subject_and_wording_alone_decide() -> None:
    one = reframed(PHRASINGS, PLAIN, "en", "Chile")
    assert one == reframed(PHRASINGS, PLAIN, "en", "Chile")
    assert one[:FRAMES_EACH] == reframed(PHRASINGS[:1], PLAIN, "en", "Chile")
