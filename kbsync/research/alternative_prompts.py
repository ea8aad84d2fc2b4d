"""The questions of ``kbsync bench alternatives``, and the prompts that each way to keep facts right makes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean

from kbsync.domain.canonical import content_hash
from kbsync.domain.fact import Fact, FactKey
from kbsync.domain.fact_sentence import behind, sentence_of
from kbsync.domain.phrasing import Form, Use, fill
from kbsync.domain.relation import Relation
from kbsync.domain.rewrite import Rewrite


class Way(StrEnum):
    """How facts are brought to a model."""

    BASE = "base"
    """Not at all."""
    EDIT = "edit"
    """They are written into the weights by the recipe's edit."""
    CONTEXT = "context"
    """The right fact stands before the question: a retriever that never errs."""
    RETRIEVED = "retrieved"
    """The facts that BM25 finds stand before the question."""
    LORA = "lora"
    """The base is fine-tuned on what the edit writes."""
    EDIT_CONTEXT = "edit_context"
    """The edited model is asked with the right fact before the question."""


class Weights(StrEnum):
    """The weights that a way asks."""

    BASE = "base"
    EDIT = "edit"
    LORA = "lora"

    @classmethod
    def of(cls, way: Way) -> Weights:
        """Those of ``way``."""
        changed = {Way.EDIT: cls.EDIT, Way.EDIT_CONTEXT: cls.EDIT, Way.LORA: cls.LORA}
        return changed.get(way, cls.BASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedFact:
    """A fact that is asked in a held-out phrasing."""

    key: FactKey
    form: Form
    frame: str
    """Holds ``{}`` where the question goes."""
    text: str
    """The question with the subject in it."""
    names: tuple[str, ...]
    """All names of all right answers."""
    sentence: str
    """The fact as a sentence."""

    @property
    def prompt(self) -> str:
        """What a model reads without any help."""
        return fill(self.frame, self.text)

    def after(self, sentences: Sequence[str]) -> str:
        """The prompt with these sentences before it; in a chat model's frame they stand in the user's turn."""
        if not sentences:
            return self.prompt
        return behind(sentences, self.text, self.frame, self.form)


def rewrite_of(relation: Relation, fact: Fact) -> Rewrite:
    """The fact as an edit in its first phrasing would write it."""
    return Rewrite(
        template=relation.prompt_template,
        subject=fact.subject_label or "",
        target=fact.answers[0].label or "",
        end=relation.written[0].end,
    )


def ask(relation: Relation, fact: Fact, count: int, seed: int) -> list[AskedFact]:
    """Questions about the fact: of each form, ``count`` held-out phrasings, which are drawn by hash."""
    names = tuple(name for answer in fact.answers for name in answer.names)
    questions = []
    for form in Form:
        drawn = sorted(relation.of(Use.HELD_OUT, form), key=lambda p: content_hash([seed, list(fact.key), p.text]))
        questions += [
            AskedFact(
                key=fact.key,
                form=form,
                frame=relation.frames.of(Use.HELD_OUT, form),
                text=fill(phrasing.text, fact.subject_label or ""),
                names=names,
                sentence=sentence_of(relation, fact),
            )
            for phrasing in drawn[:count]
        ]
    return questions


def drawn(keys: Iterable[FactKey], count: int, seed: int) -> list[FactKey]:
    """At most ``count`` of the keys, by hash: a larger sample begins with a smaller one."""
    return sorted(keys, key=lambda key: content_hash([seed, list(key)]))[:count]


def share(right: Sequence[bool]) -> float:
    """The share that is right."""
    return fmean(map(float, right))


def by_form(asked: Sequence[AskedFact], right: Sequence[bool]) -> Mapping[Form, float]:
    """The share that is right of each form that is asked."""
    of_form = {form: [r for a, r in zip(asked, right, strict=True) if a.form is form] for form in Form}
    return {form: share(answers) for form, answers in of_form.items() if answers}
