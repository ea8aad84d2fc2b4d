"""Prompts that show a relation by examples."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from transformers import PreTrainedTokenizerFast

from kbsync.domain.phrasing import fill
from kbsync.domain.rewrite import joint
from kbsync.editing.common.prompts import Prompt, Unlocatable, locate


class Pair(NamedTuple):
    """A subject and the answer that a relation gives for it."""

    subject: str
    answer: str


def shown(template: str, examples: Sequence[Pair]) -> str:
    """The template behind its examples, each on a line of its own; it has one ``{}`` for a further subject.

    Raises:
        Unlocatable: An example holds ``{}``, which could not be told from the subject's place.
    """
    lines = []
    for pair in examples:
        if "{}" in pair.subject + pair.answer:
            raise Unlocatable(f"the example {pair.subject!r} holds braces")
        prompt = fill(template, pair.subject)
        lines.append(f"{prompt}{joint(prompt)}{pair.answer}\n")
    return "".join(lines) + template


def asked(tokenizer: PreTrainedTokenizerFast, template: str, examples: Sequence[Pair], subject: str) -> Prompt:
    """The prompt of a subject behind examples, with the place of its last token; raises ``Unlocatable``."""
    return locate(tokenizer, shown(template, examples), subject, None)


def first_token(tokenizer: PreTrainedTokenizerFast, template: str, pair: Pair) -> int:
    """Id of the answer's first token; raises ``Unlocatable``."""
    prompt = locate(tokenizer, template, pair.subject, pair.answer)
    return prompt.ids[prompt.target]
