"""What the model believes about a fact, judged by a pure function from evidence."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from kbsync.domain.fact import Answer, Fact, FactKey
from kbsync.domain.relation import Relation


class VerdictKind(StrEnum):
    """CURRENT: the model says what holds. STALE: it says what held once. UNKNOWN: it says neither.

    AMBIGUOUS: there is no one right answer to ask for (contradicting statements, a missing label).
    """

    CURRENT = "current"
    STALE = "stale"
    UNKNOWN = "unknown"
    AMBIGUOUS = "ambiguous"


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was asked and answered. Log-probabilities are natural, summed over the answer's tokens.

    ``logprob_answer`` scores the first right answer's label, ``logprob_former`` the likeliest former one
    (None where there is none).
    """

    prompt: str
    greedy: str
    matched: str | None = None
    logprob_answer: float | None = None
    logprob_former: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerdictKey:
    """A verdict is asked for once per fact value, model and templates."""

    fact: FactKey
    value_hash: str
    model_fingerprint: str
    template_hash: str

    @classmethod
    def of(cls, relation: Relation, fact: Fact, model_fingerprint: str) -> VerdictKey:
        """The key of what a model says of a fact as it is believed now, asked in the relation's words."""
        return cls(
            fact=fact.key,
            value_hash=fact.value_hash,
            model_fingerprint=model_fingerprint,
            template_hash=relation.template_hash,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    key: VerdictKey
    kind: VerdictKind
    evidence: Evidence


_LEADING = re.compile(r"^(?:the|a|an)\s+")
_NOISE = re.compile(r"[^\w]+")


def normalise(text: str) -> str:
    """Fold case, width and accents, read punctuation as blanks, drop a leading article."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    folded = "".join(c for c in folded if not unicodedata.combining(c))
    return _LEADING.sub("", _NOISE.sub(" ", folded).strip())


def match_names(continuation: str, names: Iterable[str]) -> str | None:
    """The first of ``names`` with which ``continuation`` begins (whole words, normalised), else None."""
    said = normalise(continuation) + " "
    for name in names:
        wanted = normalise(name)
        if wanted and said.startswith(wanted + " "):
            return name
    return None


def match(continuation: str, answers: tuple[Answer, ...]) -> str | None:
    """As :func:`match_names`, among the answers' labels and aliases."""
    return match_names(continuation, (name for answer in answers for name in answer.names))


def ambiguity(fact: Fact, *, single: bool) -> str | None:
    """Why no one right answer can be asked for; None where one can."""
    if not fact.subject_label:
        return f"{fact.key.subject} has no label"
    unnamed = [a.value.text for a in fact.answers if not a.label]
    if unnamed:
        return f"no label for {', '.join(unnamed)}"
    if single and len(fact.answers) > 1:
        return f"{len(fact.answers)} values hold at once where one can"
    return None


def judge(fact: Fact, greedy: str) -> tuple[VerdictKind, str | None]:
    """Kind of verdict and the matched name for a greedy continuation."""
    right = match(greedy, fact.answers)
    if right is not None:
        return VerdictKind.CURRENT, right
    former = match(greedy, fact.former)
    if former is not None:
        return VerdictKind.STALE, former
    return VerdictKind.UNKNOWN, None
