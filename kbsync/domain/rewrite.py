"""What an editor is told: pure text, with nothing of where a fact comes from."""

from __future__ import annotations

from dataclasses import dataclass

from kbsync.domain.canonical import content_hash
from kbsync.domain.phrasing import fill


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One fact to write into a model: after ``prompt`` it is to say ``target``."""

    template: str
    """The prompt, with one ``{}`` in place of the subject."""
    subject: str
    """What the fact is about; its last token is where the fact is written."""
    target: str
    """The answer to write, without the blank that parts it from the prompt (``joint``)."""

    @property
    def id(self) -> str:
        """SHA-256 of subject, template and target: what shapes the weights."""
        return content_hash([self.subject, self.template, self.target])

    @property
    def prompt(self) -> str:
        """The template with the subject in its place."""
        return fill(self.template, self.subject)


@dataclass(frozen=True, slots=True)
class Preserved:
    """A prompt whose answer an edit must leave alone: its key joins the preserved keys K₀ (ADR 0005)."""

    template: str
    """The prompt, with one ``{}`` in place of the subject."""
    subject: str
    """What the prompt asks about."""

    @property
    def id(self) -> str:
        """SHA-256 of subject and template: what shapes the weights."""
        return content_hash([self.subject, self.template])


def joint(prompt: str) -> str:
    """What parts a prompt from its answer: one blank, or nothing where the prompt ends in whitespace already.

    The frame of a chat model mostly ends in a line break, after which the answer follows directly.
    """
    return "" if prompt[-1:].isspace() else " "
