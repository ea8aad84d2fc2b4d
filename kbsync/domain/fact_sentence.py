"""A fact as a sentence, and a question behind such sentences: what a model reads that is given facts in its context."""

from __future__ import annotations

from collections.abc import Sequence

from kbsync.domain.fact import Fact
from kbsync.domain.phrasing import PLAIN, Form, Use, fill
from kbsync.domain.relation import Relation
from kbsync.domain.rewrite import joint


def answerable(fact: Fact) -> bool:
    """Whether subject and answer have names."""
    return bool(fact.subject_label and fact.answers and fact.answers[0].label)


def sentence_of(relation: Relation, fact: Fact) -> str:
    """The fact as a sentence: the relation's first edit statement (any first phrasing where it has none) and the
    answer."""
    first = next(iter(relation.of(Use.EDIT, Form.STATEMENT) or relation.of(Use.EDIT)))
    begun = fill(first.text, fact.subject_label or "")
    return f"{begun}{joint(begun)}{fact.answers[0].label}."


def behind(sentences: Sequence[str], text: str, frame: str, form: Form) -> str:
    """The prompt that asks ``text`` after these sentences.

    Args:
        sentences: At least one.
        text: The question with the subject in it.
        frame: The held-out one of ``form``. In a chat model's frame the sentences stand in the user's turn.
        form: The question's.
    """
    gap = "\n" if "\n" in frame else " "
    told = f"{' '.join(sentences)}{gap}"
    if frame == PLAIN.of(Use.HELD_OUT, form):
        return told + fill(frame, text)
    return fill(frame, told + text)
