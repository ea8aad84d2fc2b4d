"""What a model believes about a fact, judged from evidence by a pure function."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kbsync.domain import judging
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.judging import Said
from kbsync.domain.relation import Relation
from kbsync.domain.rewrite import control_token_in
from kbsync.domain.wellformed import name_flaw


class VerdictKind(StrEnum):
    """What a model says, compared with what holds."""

    CURRENT = "current"
    """It says what holds, in most of the phrasings in which it was asked."""
    SHAKY = "shaky"
    """It says what holds in some of these phrasings, but not in most."""
    STALE = "stale"
    """It says what held once."""
    UNKNOWN = "unknown"
    """It says neither."""
    AMBIGUOUS = "ambiguous"
    """It was not asked: there is no single right answer (statements contradict each other, a label is missing)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model answered when it was asked in one phrasing."""

    prompt: str
    greedy: str
    """The greedy continuation."""
    kind: VerdictKind
    """What this reply alone says: ``CURRENT``, ``STALE`` or ``UNKNOWN``."""
    matched: str | None = None
    """The name that was found in it; None where it has none."""
    reason: str = ""
    """Why it was judged so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What a model was asked and what it answered."""

    replies: tuple[Reply, ...] = ()
    """One for each phrasing, the prompt's first; empty where the model was not asked."""
    logprob_answer: float | None = None
    """Natural log-probability of the first right answer's label after the prompt, summed over its tokens."""
    logprob_former: float | None = None
    """The same of the likeliest former answer; None where there is none."""
    reason: str = ""
    """Why the model was not asked; empty where it was."""

    @property
    def prompt(self) -> str:
        """What is edited; empty where the model was not asked."""
        return self.replies[0].prompt if self.replies else ""

    @property
    def greedy(self) -> str:
        """The greedy continuation of the prompt."""
        return self.replies[0].greedy if self.replies else ""

    @property
    def matched(self) -> str | None:
        """The name that was found in the prompt's continuation."""
        return self.replies[0].matched if self.replies else None

    @property
    def right_after_prompt(self) -> bool:
        """Whether the model says what holds when it is asked by the prompt itself."""
        return bool(self.replies) and self.replies[0].kind is VerdictKind.CURRENT


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictKey:
    """Identifies a verdict: each value of a fact is asked once of each model, in each wording, by the same names."""

    fact: FactKey
    value_hash: str
    names_hash: str
    """Of the names that it was asked and judged by; empty where an earlier kbsync judged it by names unknown."""
    model_fingerprint: str
    template_hash: str

    @classmethod
    def of(cls, relation: Relation, fact: Fact, model_fingerprint: str) -> VerdictKey:
        """The key of what a model says of a fact as it is believed now, asked in the relation's words."""
        return cls(
            fact=fact.key,
            value_hash=fact.value_hash,
            names_hash=fact.names_hash,
            model_fingerprint=model_fingerprint,
            template_hash=relation.template_hash,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one model believes about one value of a fact."""

    key: VerdictKey
    kind: VerdictKind
    evidence: Evidence


def summary(kinds: Sequence[VerdictKind]) -> VerdictKind:
    """What a model believes, from what it replied in each phrasing.

    Args:
        kinds: ``CURRENT``, ``STALE`` or ``UNKNOWN`` for each phrasing; at least one.

    Returns:
        ``CURRENT`` where more than half of the replies are right, ``SHAKY`` where some are; where none is, ``STALE`` if
        at least half of them are a former answer, else ``UNKNOWN``.
    """
    right, stale = kinds.count(VerdictKind.CURRENT), kinds.count(VerdictKind.STALE)
    if right:
        return VerdictKind.CURRENT if 2 * right > len(kinds) else VerdictKind.SHAKY
    return VerdictKind.STALE if 2 * stale >= len(kinds) else VerdictKind.UNKNOWN


def ambiguity(fact: Fact, *, single: bool, control_tokens: Iterable[str] = ()) -> str | None:
    """Why the fact has no single right answer to ask for; None where it has.

    Args:
        fact: With the names of its subject and of its answers.
        single: Whether several values that hold at once contradict each other.
        control_tokens: The model's; a label that holds one can't be asked.
    """
    if not fact.subject_label:
        return f"{fact.key.subject} has no label"
    unnamed = [a.value.text for a in fact.answers if not a.label]
    if unnamed:
        return f"no label for {', '.join(unnamed)}"
    if single and len(fact.answers) > 1:
        return f"{len(fact.answers)} values hold at once where one can"
    for label in (fact.subject_label, *(a.label or "" for a in fact.answers)):
        if token := control_token_in(label, control_tokens):
            return f"the label {label!r} holds {token!r}, which the model reads as a control token"
        if what := name_flaw(label):
            return f"the label {label!r} holds {what}"
    return None


def kind_of(said: Said) -> VerdictKind:
    """The verdict on what an answer asserts; one that gives a right and a former value at once decides nothing."""
    kinds = {Said.RIGHT: VerdictKind.CURRENT, Said.FORMER: VerdictKind.STALE}
    return kinds.get(said, VerdictKind.UNKNOWN)


def judge(fact: Fact, prompt: str, greedy: str) -> Reply:
    """What a model's greedy continuation of ``prompt`` says about the fact."""
    right, former = ([name for answer in answers for name in answer.names] for answers in (fact.answers, fact.former))
    judgement = judging.judge(greedy, right, former, prompt=prompt)
    return Reply(
        prompt=prompt,
        greedy=greedy,
        kind=kind_of(judgement.said),
        matched=judgement.matched,
        reason=judgement.reason,
    )
