"""What both research benchmarks share: a case, the choice of cases, and the split into development and test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.domain.phrasing import fill
from kbsync.domain.rewrite import Rewrite
from kbsync.domain.verdict import normalise

C = TypeVar("C", bound="Case")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fact to write and the prompts that measure it.

    ``template`` holds ``{}`` for ``subject``; ``target`` is the answer to be written. ``paraphrases`` ask the same
    in other words, ``neighbours`` ask what must not change. No prompt ends with a blank: answers bring their own.
    """

    benchmark: str
    id: str
    subject: str
    template: str
    target: str
    paraphrases: tuple[str, ...]
    neighbours: tuple[str, ...]

    @property
    def prompt(self) -> str:
        return fill(self.template, self.subject)

    @property
    def rewrite(self) -> Rewrite:
        """What an editor is told."""
        return Rewrite(self.template, self.subject, self.target)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[C]):
    """``cases`` in the drawn order; ``asked``: how many were looked at to find them."""

    cases: list[C]
    asked: int


def template_of(prompt: str, subject: str, place: str) -> str:
    """Put ``{}`` where the subject stands: its first occurrence as whole words, else its first one at all.

    Raises ``DataError`` naming ``place`` where the subject is not in the prompt, or where the prompt holds ``{}``
    itself.
    """
    found = re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", prompt)
    at = found.start() if found else prompt.find(subject)
    if at < 0:
        raise DataError(f"{place}: the subject {subject!r} does not occur in its prompt {prompt!r}.")
    template = f"{prompt[:at]}{{}}{prompt[at + len(subject) :]}"
    if fill(template, subject) != prompt:
        raise DataError(f"{place}: the prompt {prompt!r} holds braces that can't be told from the subject's place.")
    return template


class Part(StrEnum):
    """Settings are found on ``dev``; what is reported comes from ``test``."""

    DEV = "dev"
    TEST = "test"
    ALL = "all"


def split(cases: Sequence[C], part: Part, *, dev_share: float = 0.2) -> list[C]:
    """The cases of ``part``, in their order. Development and test share no subject and no prompt.

    Cases that share a subject, or any prompt (of the edit, a paraphrase or a neighbour), form one group, and groups
    are dealt whole, by the hash of their smallest member: no fact that is written or checked in one part is known
    to the other. Deterministic, whatever the order of the file.
    """
    if part is Part.ALL:
        return list(cases)
    marks = [_marks(case) for case in cases]
    groups = _groups(marks)
    smallest: dict[int, str] = {}
    for group, own in zip(groups, marks, strict=True):
        smallest[group] = min(*own, smallest.get(group, min(own)))
    dev = {group for group, key in smallest.items() if int(content_hash(key)[:8], 16) < dev_share * 2**32}
    return [case for case, group in zip(cases, groups, strict=True) if (group in dev) == (part is Part.DEV)]


def select(cases: Iterable[C], count: int | None, *, seed: int = 0) -> list[C]:
    """``count`` cases (None: all) in an order drawn by hash, so that a smaller selection begins a larger one.

    A mass edit can't write two answers to one prompt: of cases with the same prompt only the first drawn is kept.
    Raises ``DataError`` where there are fewer than ``count``.
    """
    drawn = sorted(cases, key=lambda case: content_hash([seed, case.benchmark, case.id]))
    by_prompt: dict[tuple[str, str], C] = {}
    for case in drawn:
        by_prompt.setdefault((normalise(case.subject), case.template), case)
    usable = list(by_prompt.values())
    if count is not None and len(usable) < count:
        raise DataError(
            f"{count} cases were asked for, {len(usable)} of {len(drawn)} can be edited together.",
            next_step="Ask for fewer edits, or for another part of the data.",
        )
    return usable[:count]


def cases_hash(cases: Iterable[Case]) -> str:
    """Identity of exactly these cases with all their prompts, in this order."""
    return content_hash(list(cases))


def _marks(case: Case) -> set[str]:
    """What two cases must not share across parts: subject and prompts, as compared (case, accents, blanks folded)."""
    prompts = (case.prompt, *case.paraphrases, *case.neighbours)
    return {f"subject {normalise(case.subject)}", *(f"prompt {normalise(prompt)}" for prompt in prompts)}


def _groups(marks: Sequence[set[str]]) -> list[int]:
    """Connected components by shared marks (union-find with path halving): a group number per set."""
    parent = list(range(len(marks)))

    def root(node: int) -> int:
        while parent[node] != node:
            parent[node] = parent[parent[node]]
            node = parent[node]
        return node

    first_with: dict[str, int] = {}
    for index, own in enumerate(marks):
        for mark in own:
            parent[root(index)] = root(first_with.setdefault(mark, index))
    return [root(index) for index in range(len(marks))]
