"""What CounterFact and zsRE share: a case, the choice of cases, and the split into development and test."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from kbsync.domain.answer_text import normalise
from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError
from kbsync.domain.phrasing import fill
from kbsync.domain.rewrite import Rewrite

C = TypeVar("C", bound="Case")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One fact to write and the prompts that measure it. No prompt ends with a blank."""

    benchmark: str
    id: str
    subject: str
    template: str
    """The prompt, with ``{}`` for the subject."""
    target: str
    """The answer to be written."""
    paraphrases: tuple[str, ...]
    """Prompts that ask the same in other words."""
    neighbours: tuple[str, ...]
    """Prompts whose answers must not change."""

    @property
    def prompt(self) -> str:
        return fill(self.template, self.subject)

    @property
    def rewrite(self) -> Rewrite:
        """The case as an editor takes it."""
        return Rewrite(self.template, self.subject, self.target)


@dataclass(frozen=True, slots=True)
class Chosen(Generic[C]):
    """The cases of a run, in the drawn order."""

    cases: list[C]
    asked: int
    """How many cases were examined to find them."""


def template_of(prompt: str, subject: str, place: str) -> str:
    """Put ``{}`` in the place of the subject: its first occurrence as whole words, else its first occurrence.

    Raises:
        DataError: The subject is not in the prompt, or the prompt itself holds ``{}``. Names ``place``.
    """
    whole = re.search(rf"(?<!\w){re.escape(subject)}(?!\w)", prompt)
    at = whole.start() if whole else prompt.find(subject)
    if at < 0:
        raise DataError(f"{place}: the subject {subject!r} does not occur in its prompt {prompt!r}.")
    template = f"{prompt[:at]}{{}}{prompt[at + len(subject) :]}"
    if fill(template, subject) != prompt:
        raise DataError(f"{place}: the prompt {prompt!r} holds braces that can't be told from the subject's place.")
    return template


class Part(StrEnum):
    """Settings are chosen on ``dev``; results are reported on ``test``."""

    DEV = "dev"
    TEST = "test"
    ALL = "all"


def split(cases: Sequence[C], part: Part, *, dev_share: float = 0.2) -> list[C]:
    """The cases of ``part``, in their order. Development and test share no subject and no prompt.

    Cases that share a subject, or any prompt (of the edit, a paraphrase or a neighbour), form one group. A whole group
    goes to one part, by the hash of its smallest member, so no fact that is written or checked in one part occurs in
    the other. The order of the file does not matter.
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
    """``count`` cases (None: all) in an order drawn by hash, so that a larger selection begins with a smaller one.

    A mass edit can't write two answers to one prompt, so of cases with the same prompt only the first is kept.

    Raises:
        DataError: There are fewer than ``count``.
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
    """What two cases of different parts must not share: subject and prompts, without case, accents and extra blanks."""
    prompts = (case.prompt, *case.paraphrases, *case.neighbours)
    return {f"subject {normalise(case.subject)}", *(f"prompt {normalise(prompt)}" for prompt in prompts)}


def _groups(marks: Sequence[set[str]]) -> list[int]:
    """Connected components by shared marks (union-find with path halving): a group number for each set."""
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
