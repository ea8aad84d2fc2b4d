"""What a plan has to know of all facts, gathered while they go past: a million of them do not fit into memory.

Most facts are in no plan: the base has them right, or they are behind the limit. So one pass notes of each fact that
has to be written its key, its answer and its surprisal, and finds those that share a prompt with another. Only the
facts that the plan holds, or that may conflict, are then read as a whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from kbsync.domain.answer_text import normalise
from kbsync.domain.fact import FactKey
from kbsync.domain.guards import choose_guards
from kbsync.domain.plan import LISTED, EditRequest
from kbsync.domain.relation import Relation
from kbsync.domain.verdict import Verdict, VerdictKind
from kbsync.stages.judged import JudgedFact, JudgedFacts


class Wanted(NamedTuple):
    """A fact that has to be written, as far as it matters to others."""

    key: FactKey
    target: str
    logprob: float | None
    """Of the answer under the base."""
    is_new: bool
    """``current`` does not hold it with this value."""


class Right(NamedTuple):
    """A fact that the base has right."""

    key: FactKey


class Needed(NamedTuple):
    """Which facts are needed as a whole."""

    keys: frozenset[FactKey]
    behind: int
    """So many more have to be written, and are behind the limit, and behind all ``keys``."""


@dataclass
class Survey:
    """What was found of all facts."""

    unjudged: int = 0
    """Facts without a verdict."""
    wanted: list[Wanted] = field(default_factory=list)
    gone: dict[FactKey, str] = field(default_factory=dict)
    """Of what ``current`` holds: why it has not to be written any more."""
    values: dict[FactKey, str] = field(default_factory=dict)
    """The hashes of the values of facts that ``current`` holds, or that are in quarantine."""
    guards: tuple[FactKey, ...] = ()
    shared: set[FactKey] = field(default_factory=set)
    """Facts that share a prompt with another one that has to be written, or that the base has right."""

    def needed(
        self, active: Mapping[FactKey, EditRequest], refused: Mapping[FactKey, str], limit: int | None
    ) -> Needed:
        """Choose what is needed as a whole: what is held, what may conflict, and what may be within the limit.

        Args:
            active: What ``current`` holds.
            refused: Why facts are refused, whatever else is said of them.
            limit: The most facts in one version (None: any number).
        """
        rest = sorted(
            fact.key
            for fact in self.wanted
            if fact.key not in active and fact.key not in self.shared and fact.key not in refused
        )
        # Each fact that conflicts may leave its place within the limit to one behind it.
        room = len(rest) if limit is None else limit + LISTED + len(self.shared)
        held = (fact.key for fact in self.wanted if fact.key in active)
        return Needed(frozenset({*held, *self.shared, *rest[:room]}), max(0, len(rest) - room))


def survey(
    facts: JudgedFacts,
    kinds: frozenset[VerdictKind],
    active: Mapping[FactKey, EditRequest],
    quarantined: Iterable[FactKey],
    guard_count: int,
) -> Survey:
    """Let all facts go past once.

    Args:
        facts: All believed facts.
        kinds: The verdicts with which facts have to be written.
        active: What ``current`` holds.
        quarantined: Facts in quarantine, with whatever value.
        guard_count: The most facts that the edit guards.
    """
    found, prompts, right = Survey(), _Prompts(facts.relations, active.values()), list[Right]()
    remembered = {*active, *quarantined}
    for judged in facts.each():
        key, verdict = judged.fact.key, judged.verdict
        if key in remembered:
            found.values[key] = judged.fact.value_hash
        if verdict is None:
            found.unjudged += 1
            continue
        if verdict.kind in kinds:
            found.wanted.append(_wanted(judged, verdict, active.get(key)))
        elif verdict.kind is VerdictKind.CURRENT:
            right.append(Right(key))
        if verdict.kind in kinds or verdict.kind is VerdictKind.CURRENT:
            prompts.note(key, judged.fact.subject_label or "", judged.relation.prompt_template)
        if key in active and verdict.kind not in kinds:
            found.gone[key] = why_not(verdict)
    found.guards = tuple(one.key for one in choose_guards(right, guard_count))
    found.shared = prompts.shared
    return found


def why_not(verdict: Verdict) -> str:
    """Why a fact is not edited: the verdict, with its reason or the base's answer."""
    return f"verdict {verdict.kind}: {verdict.evidence.reason or _typical_answer(verdict)}"


def _typical_answer(verdict: Verdict) -> str:
    """The first answer of the verdict's own kind; where there is none, that after the prompt."""
    answers = (reply.greedy for reply in verdict.evidence.replies if reply.kind is verdict.kind)
    return next(answers, verdict.evidence.greedy).strip()


def _wanted(judged: JudgedFact, verdict: Verdict, held: EditRequest | None) -> Wanted:
    fact = judged.fact
    is_new = held is None or held.value_hash != fact.value_hash
    return Wanted(fact.key, fact.answers[0].label or "", verdict.evidence.logprob_answer, is_new)


class _Prompts:
    """Which facts are asked about the same subject in words that another relation has, too."""

    def __init__(self, relations: Iterable[Relation], held: Iterable[EditRequest]) -> None:
        self._group: dict[str, str] = {}
        """By template, the template that stands for all that one relation, or a chain of relations, has."""
        self._first: dict[int, FactKey] = {}
        """By the hash of subject and group, the fact that was found first."""
        self.shared: set[FactKey] = set()
        written = list(held)
        for relation in relations:
            self._join([relation.prompt_template, *(phrasing.template for phrasing in relation.written)])
        for request in written:
            self._join([request.template, *(phrasing.template for phrasing in request.phrasings)])
        for request in written:
            self.note(request.key, request.subject, request.template)

    def note(self, key: FactKey, subject: str, template: str) -> None:
        first = self._first.setdefault(hash((normalise(subject), self._of(template))), key)
        if first != key:
            self.shared |= {first, key}

    def _join(self, templates: list[str]) -> None:
        root = self._of(templates[0])
        for template in templates:
            self._group[self._of(template)] = root

    def _of(self, template: str) -> str:
        while (group := self._group.setdefault(template, template)) != template:
            template = group
        return template
