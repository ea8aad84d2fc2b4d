"""Facts that are asked with the same words and have different answers: a model can be taught only one of them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from kbsync.domain.answer_text import normalise
from kbsync.domain.fact import FactKey
from kbsync.domain.rewrite import Rewrite

Prompt = tuple[str, str]
"""A subject, normalised, and a template."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RightFact:
    """A fact that the base has right, and that is not written."""

    key: FactKey
    subject: str
    templates: tuple[str, ...]
    """All in which the model is asked and taught about such facts."""
    names: tuple[str, ...]
    """Of all its right answers; the first one is shown to people."""


class _Holder(NamedTuple):
    """A fact that has a prompt for itself."""

    key: FactKey
    answers: frozenset[str]
    """Normalised."""
    text: str
    """For the reason of the one that is refused."""


def conflicts(
    requests: Mapping[FactKey, Rewrite], held: Mapping[FactKey, Rewrite], right: Iterable[RightFact]
) -> dict[FactKey, str]:
    """Why requests can't be written beside the others: one with the same prompt has another answer.

    What ``current`` holds and what the base has right stay: the newcomer is refused. Of two newcomers both are.

    Args:
        requests: What has to be written.
        held: What ``current`` holds of it, with values that are still right; perhaps in other words.
        right: Facts that the base has right.
    """
    taken: dict[Prompt, list[_Holder]] = defaultdict(list)
    newcomers = {key: r for key, r in requests.items() if key not in held or _words(held[key]) != _words(r)}
    asked = {key: (_prompts(rewrite), normalise(rewrite.target)) for key, rewrite in newcomers.items()}
    for key, rewrite in held.items():
        _take(taken, key, rewrite, _prompts(rewrite), normalise(rewrite.target))
    for key, rewrite in newcomers.items():
        _take(taken, key, rewrite, *asked[key])
    for fact in right:
        said = f"same prompt as {fact.key}, which the base has right: {fact.names[0]!r}"
        for template in fact.templates:
            prompt = normalise(fact.subject), template
            taken[prompt].append(_Holder(fact.key, frozenset(map(normalise, fact.names)), said))
    refused: dict[FactKey, str] = {}
    for key, (prompts, target) in asked.items():
        others = [
            holder.text
            for prompt in prompts
            for holder in taken[prompt]
            if holder.key != key and target not in holder.answers
        ]
        if others:
            refused[key] = "; ".join(dict.fromkeys(others))
    return refused


def _take(
    taken: dict[Prompt, list[_Holder]], key: FactKey, rewrite: Rewrite, prompts: Iterable[Prompt], answer: str
) -> None:
    """Note that the prompts have an answer."""
    said = f"same prompt, another answer: {key} says {rewrite.target!r}"
    holder = _Holder(key, frozenset({answer}), said)
    for prompt in prompts:
        taken[prompt].append(holder)


def _words(rewrite: Rewrite) -> tuple[object, ...]:
    return rewrite.target, _prompts(rewrite)


def _prompts(rewrite: Rewrite) -> tuple[Prompt, ...]:
    subject = normalise(rewrite.subject)
    return tuple((subject, template) for template in (rewrite.template, *(p.template for p in rewrite.phrasings)))
