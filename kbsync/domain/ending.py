"""How a model goes on after a right answer (a pure function)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from kbsync.domain.answer_text import normalise, word_ends

CLOSE = 6
"""Largest number of words between an answer and an end that counts as natural."""
_SENTENCE_END = re.compile(r"[.!?…](?:[\"'”’)\]»*_]*)(?=\s|$)|[。！？｡।॥؟۔]|\n")


class Ending(StrEnum):
    """What follows an answer."""

    END = "end"
    """The sentence, the line or the turn ends within a few words."""
    REPETITION = "repetition"
    """The answer is said again before that."""
    CONTRADICTION = "contradiction"
    """Another answer is given before that."""
    GOES_ON = "goes on"
    """The sentence goes on."""


def ending(continuation: str, name: str, others: Sequence[str] = ()) -> Ending | None:
    """Judge what follows the answer ``name`` in ``continuation``; None where the name is not in it.

    Args:
        continuation: What the model said, up to a line break, its end of turn or the last token that it was allowed.
            A text that ends with the answer has ended there: the caller allows some more tokens than answers take.
        name: The answer.
        others: Other answers, which would contradict it.
    """
    rest = _after(continuation, name)
    if rest is None:
        return None
    found = _SENTENCE_END.search(rest)
    clause = normalise(rest[: found.start()] if found else rest)
    said = f" {normalise(rest)} "
    if _holds(clause, name) or said.count(f" {normalise(name)} ") > 1:
        return Ending.REPETITION
    if any(normalise(other) != normalise(name) and _holds(clause, other) for other in others):
        return Ending.CONTRADICTION
    if not clause or (found and len(clause.split()) <= CLOSE):
        return Ending.END
    return Ending.GOES_ON


def _after(continuation: str, name: str) -> str | None:
    """What stands behind the first mention of the name."""
    wanted = f" {normalise(name)}"
    if not wanted.strip():
        return None
    for end in word_ends(continuation):
        if f" {normalise(continuation[:end])}".endswith(wanted):
            return continuation[end:]
    return None


def _holds(text: str, name: str) -> bool:
    wanted = normalise(name)
    return bool(wanted) and f" {wanted} " in f" {text} "
