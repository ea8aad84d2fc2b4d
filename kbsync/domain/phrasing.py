"""Phrasings: the words in which a fact is asked, written and measured, and the frames in which questions are put."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kbsync.domain.answer_text import folded_words

SUBJECT = "{}"
"""Where the subject's label stands in a phrasing, and the question in a frame."""
ENOUGH = 5
"""Number of phrasings that a relation should have for each use."""
ENOUGH_QUESTIONS = 2
"""Number of them that should be questions."""


class Form(StrEnum):
    """What kind of words a phrasing is."""

    STATEMENT = "statement"
    """The beginning of a sentence that the answer continues: ``The capital of {} is``."""
    QUESTION = "question"
    """A bare question: ``Which city is the capital of {}?``"""
    DIALOGUE = "dialogue"
    """What somebody says in a conversation: ``I am off to {} on Monday. What is the capital called?``"""


class Use(StrEnum):
    """What a phrasing is there for."""

    EDIT = "edit"
    """It is asked by probing and written by the edit."""
    HELD_OUT = "held_out"
    """It is only ever measured, so that no edit has seen it."""


@dataclass(frozen=True, slots=True)
class Phrasing:
    """One way to ask for an answer."""

    text: str
    """Holds ``{}`` once, where the subject's label goes."""
    form: Form = Form.STATEMENT
    use: Use = Use.EDIT

    @property
    def wording(self) -> str:
        """The words in lower case without accents and punctuation: two phrasings with the same wording are one."""
        return f" {SUBJECT} ".join(folded_words(part) for part in self.text.split(SUBJECT)).strip()


@dataclass(frozen=True, slots=True)
class FramedPhrasing:
    """A phrasing in its frame, as a model is asked it, and what ends its answer."""

    template: str
    """The prompt as the model reads it, with one ``{}`` in place of the subject."""
    end: str = ""
    """What ends the answer: a full stop, a line break, a chat template's end of turn. Empty: nothing is written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frames:
    """How phrasings are put to a model, by use and form: each frame holds ``{}`` once, where the phrasing's text goes.

    The defaults are for plain completion. They differ between the uses, so that an edit does not see the words around
    the held-out questions either.
    """

    edit_statement: str = SUBJECT
    edit_question: str = "Q: {}\nA:"
    edit_dialogue: str = "{} That would be"
    held_out_statement: str = SUBJECT
    held_out_question: str = "Question: {}\nAnswer:"
    held_out_dialogue: str = "{} It is"
    statement_end: str = "."
    """What ends the answer to a statement, where an edit writes the end as well."""
    question_end: str = "\n"
    """The same for a question: a line break, or a chat template's end of turn."""
    dialogue_end: str = "."
    """The same for dialogue, whose plain frame begins the answer's sentence."""

    def __post_init__(self) -> None:
        for use, form in ((use, form) for use in Use for form in Form):
            frame = self.of(use, form)
            if frame.count(SUBJECT) != 1:
                raise ValueError(f"the frame of {use} {form} phrasings must hold {{}} exactly once: {frame!r}")

    @classmethod
    def chat(cls, turn: str, end: str = "\n") -> Frames:
        """The frames of a chat model: questions and dialogue of both uses are a turn of the user.

        Args:
            turn: The user's turn as the chat template renders it, up to where the model's answer begins.
            end: What the template puts after the model's answer.
        """
        return cls(
            edit_question=turn,
            edit_dialogue=turn,
            held_out_question=turn,
            held_out_dialogue=turn,
            question_end=end,
            dialogue_end=end,
        )

    def of(self, use: Use, form: Form) -> str:
        """The frame of phrasings of this use and form."""
        frame: str = getattr(self, f"{use}_{form}")
        return frame


PLAIN = Frames()
"""How a model without a chat template is asked."""


def template(phrasing: Phrasing, frames: Frames = PLAIN) -> str:
    """The phrasing in its frame: what a model reads, with one ``{}`` for the subject."""
    return fill(frames.of(phrasing.use, phrasing.form), phrasing.text)


def framed(phrasing: Phrasing, frames: Frames = PLAIN) -> FramedPhrasing:
    """The phrasing in its frame, with what ends its answer."""
    end: str = getattr(frames, f"{phrasing.form}_end")
    return FramedPhrasing(template(phrasing, frames), end)


def fill(template: str, text: str) -> str:
    """Put ``text`` in place of the template's only ``{}``; labels may contain braces, so ``str.format`` won't do."""
    before, _, after = template.partition(SUBJECT)
    return f"{before}{text}{after}"


def from_templates(first: str, *others: str) -> tuple[Phrasing, ...]:
    """Statements: the first is asked and edited, the others are held out."""
    return Phrasing(first), *(Phrasing(text, use=Use.HELD_OUT) for text in others)


def in_both_uses(phrasings: Iterable[Phrasing]) -> Iterator[tuple[Phrasing, Phrasing]]:
    """Pairs of an edit phrasing and a held-out one that have the same wording."""
    known = list(phrasings)
    edit = {phrasing.wording: phrasing for phrasing in known if phrasing.use is Use.EDIT}
    for phrasing in known:
        if phrasing.use is Use.HELD_OUT and phrasing.wording in edit:
            yield edit[phrasing.wording], phrasing


def shortages(phrasings: Sequence[Phrasing]) -> list[str]:
    """What a relation lacks: a line for each use with fewer than ``ENOUGH`` phrasings or ``ENOUGH_QUESTIONS``."""
    missing = []
    for use in Use:
        forms = [phrasing.form for phrasing in phrasings if phrasing.use is use]
        if len(forms) < ENOUGH:
            missing.append(f"{len(forms)} {use} phrasings where there should be {ENOUGH}")
        if (questions := forms.count(Form.QUESTION)) < ENOUGH_QUESTIONS:
            missing.append(f"{questions} {use} questions where there should be {ENOUGH_QUESTIONS}")
    return missing
