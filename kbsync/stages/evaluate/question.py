"""One question to a version: what it is about, how it is asked, and when its answer is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from kbsync.domain.answer_text import normalise
from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.judging import asserts
from kbsync.domain.phrasing import Form, Phrasing, fill
from kbsync.domain.plan import EditRequest
from kbsync.domain.relation import Relation

EDITED, NEIGHBOUR, SUBJECT, OTHER, HOP = "edited", "neighbour", "subject", "other", "hop"
EDITED_FORMS = {form: f"edited_{form}" for form in Form}
"""Edited facts in the relation's held-out phrasings, by form."""
KNOWN_FORMS = {form: f"known_{form}" for form in Form}
"""Facts that the base knows and that are not edited, in the same phrasings."""
DISTRACTION, NEAR_NAME, ALIAS, REVERSE, DENIAL = "distraction", "near_name", "alias", "reverse", "denial"
STOP, STOP_KNOWN = "stop", "stop_known"
WITH_CONTEXT, WITHOUT_CONTEXT = "with_context", "without_context"
UNTOUCHED = (NEIGHBOUR, SUBJECT, OTHER)
"""Groups of facts that the base has right and that the edit has nothing to do with, from the nearest to the
farthest."""
NOT_EDITED = frozenset({*UNTOUCHED, *KNOWN_FORMS.values(), STOP_KNOWN})
"""All groups of facts that are not edited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSize:
    """How much an evaluation asks."""

    paraphrases: int = 110
    """Largest number of held-out prompts of each form about edited facts."""
    known: int = 60
    """Largest number of held-out prompts of each form about facts that the base knows."""
    neighbours: int = 200
    """Largest number of facts that are not edited."""
    enough: int = 50
    """Where fewer facts than this share the relation or the subject of an edited one, facts of others are asked,
    too."""
    hops: int = 50
    """Largest number of second hops."""
    robustness: int = 50
    """Largest number of prompts of each of the other groups: distraction, near names, aliases, reverse, denial,
    stop, with and without context."""
    texts: int = 16
    """Texts that are sampled for fluency and repetition."""
    text_tokens: int = 60
    """The length of such a text in tokens, with its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One prompt."""

    group: str
    """One of those that ``PromptOutcome.group`` lists."""
    key: FactKey
    """The fact that it is about; for a second hop and a near name, the edited fact that it tests."""
    prompt: str
    names: tuple[str, ...]
    """Right answers; at least one."""
    wrong: tuple[str, ...] = ()
    """Answers that would be wrong: of a near name, those of the edited fact; of ``stop``, what held before."""
    target: str = ""
    """The answer that is scored; empty: nothing is scored."""
    rival: str = ""
    """The answer that the target is compared with."""
    control: str = ""
    """A prompt to which the rival is right. The target must then be favoured more after ``prompt`` than after it;
    empty: it must be favoured at all."""
    judged_as: str = ""
    """The prompt as the judge is shown it, without the sentence before it that names the answer; empty: ``prompt``."""
    further_tokens: int = 0
    """Number of tokens by which the answer may be longer than others."""
    base_answer: str | None = None
    """The base's answer, where a verdict holds it already."""
    since: int = 0
    """As in ``PromptOutcome``."""


def ask(relation: Relation, phrasing: Phrasing, subject: str, *, before: str = "") -> str:
    """The prompt that asks the relation's model for this subject.

    Args:
        relation: Its frames are those of the model.
        phrasing: One of the relation's.
        subject: The subject's name.
        before: What is said first, inside the frame.
    """
    return fill(relation.frames.of(phrasing.use, phrasing.form), before + fill(phrasing.text, subject))


def names_of(fact: Fact) -> tuple[str, ...]:
    """The names of all right answers."""
    return tuple(name for answer in fact.answers for name in answer.names)


def right_names(request: EditRequest, fact: Fact | None) -> tuple[str, ...]:
    """The names of the fact's answers; the target as it was written where another value is believed by now, or where
    the value has lost its label."""
    names = names_of(fact) if fact is not None and fact.value_hash == request.value_hash else ()
    return names or (request.target,)


def rival_of(request: EditRequest, fact: Fact | None) -> str:
    """What must be less likely than the target: what held before, or else the beginning of the base's answer; empty
    where there is neither."""
    former = [answer.label for answer in fact.former if answer.label] if fact else []
    words = request.base_answer.split()[: max(1, len(request.target.split()))]
    for rival in (*former, " ".join(words).strip(" .,;:!?\"'")):
        if normalise(rival) and not asserts(rival, (request.target,)):
            return rival
    return ""


def sample(candidates: Iterable[Question], count: int) -> list[Question]:
    """At most ``count`` questions, drawn by hash and sorted by fact."""
    ranked = sorted(candidates, key=_hash)
    return sorted(ranked[:count], key=lambda q: (q.key, q.prompt))


def spread_sample(candidates: Iterable[Question], count: int) -> list[Question]:
    """As ``sample``, but no fact is asked a second time before each has been asked once."""
    by_fact: dict[FactKey, list[Question]] = defaultdict(list)
    for question in sorted(candidates, key=_hash):
        by_fact[question.key].append(question)
    ranked = sorted(
        ((turn, _hash(question), question) for group in by_fact.values() for turn, question in enumerate(group)),
        key=lambda entry: entry[:2],
    )
    return sorted((question for _, _, question in ranked[:count]), key=lambda q: (q.key, q.prompt))


def _hash(question: Question) -> str:
    return content_hash([list(question.key), question.prompt])
