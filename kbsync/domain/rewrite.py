"""What an editor is told: pure text, with nothing of where a fact comes from."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from kbsync.domain.canonical import content_hash, later
from kbsync.domain.phrasing import FramedPhrasing, fill


@dataclass(frozen=True, slots=True)
class Rewrite:
    """One fact to write into a model: after ``prompt`` it is to say ``target``."""

    template: str
    """The prompt, with one ``{}`` in place of the subject."""
    subject: str
    """What the fact is about; its last token is where the fact is written."""
    target: str
    """The answer to write, without the blank that parts it from the prompt (``joint``)."""
    end: str = later("")
    """What ends the answer to ``template``, as for a ``FramedPhrasing``."""
    phrasings: tuple[FramedPhrasing, ...] = later(())
    """Other ways to ask for the same fact, which are written with it."""
    practised: tuple[FramedPhrasing, ...] = later(())
    """Further ways, in which only the refinement trains (ADR 0020)."""

    @property
    def id(self) -> str:
        """SHA-256 of what shapes the weights: subject, template and target, and how else the fact is asked."""
        practised = [self.practised] if self.practised else []
        return content_hash([*self._searched, *practised])

    @property
    def search_id(self) -> str:
        """SHA-256 of what shapes the target vector, to which the phrasings that are only practised don't belong."""
        return content_hash(self._searched)

    @property
    def _searched(self) -> list[object]:
        further = [self.end, self.phrasings] if self.end or self.phrasings else []
        return [self.subject, self.template, self.target, *further]

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
    phrasings: tuple[str, ...] = later(())
    """Other templates that ask the same, each with one ``{}``; their keys are preserved as well."""
    practised: tuple[str, ...] = later(())
    """Further templates, after which only the refinement holds the base's answer (ADR 0020)."""

    @property
    def id(self) -> str:
        """SHA-256 of subject and templates: what shapes the weights."""
        practised = [self.practised] if self.practised else []
        return content_hash([self.subject, self.template, *self.phrasings, *practised])


def joint(prompt: str) -> str:
    """What parts a prompt from its answer: one blank, or nothing where the prompt ends in whitespace already.

    The frame of a chat model mostly ends in a line break, after which the answer follows directly.
    """
    return "" if prompt[-1:].isspace() else " "


_WELL_KNOWN = re.compile(
    r"<\|[^<>|\s]{1,40}\|>|</?s>|<(?:bos|eos|pad|unk|mask|(?:start|end)_of_turn|end_of_utterance)>|\[/?INST\]|<</?SYS>>"
    r"|</?(?:think|tool_call|tool_response)>|<｜[^<>｜\s]{1,40}｜>"
    r"|<\[?(?:unused|reserved|extra_id)_?\d{1,4}\]?>|\[(?:unused|control_)\d{1,4}\]|<0x[0-9A-F]{2}>"
    r"|<fim_(?:prefix|middle|suffix|pad)>|<(?:start|end)_of_image>|<image(?:_soft_token)?>"
    r"|\[/?(?:TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS|TOOL_CONTENT|SYSTEM_PROMPT|THINK|IMG|PREFIX|SUFFIX)\]"
    r"|<(?:begin|end)_of_text>|\[(?:BOS|EOS|PAD|UNK|CLS|SEP|MASK|gMASK|sMASK)\]|<\|?(?:sop|eop|eod)\|?>"
)
"""Control tokens of the families that are in use."""


def control_token_in(text: str, tokens: Iterable[str] = ()) -> str:
    """The longest control token that ``text`` holds; empty where it holds none.

    Such a label is hostile, or names an element of HTML: the model would read the end of its turn in the middle of a
    name. The tokens of the families that are in use count whatever the model, because the next base may have them, and
    because answers are read up to the first of them. Also looked for is what a tokenizer's normalisation makes of the
    text: "＜/s＞" may become "</s>".

    Args:
        tokens: The tokenizer's own.
    """
    forms = (text,) if text.isascii() else (text, unicodedata.normalize("NFKC", text))
    found = [token for token in tokens if any(token in form for form in forms)]
    found = found or [match.group() for form in forms for match in _WELL_KNOWN.finditer(form)]
    return max(found, key=len, default="")
