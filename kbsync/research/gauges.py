"""Gauges: each asks a model about cases and returns figures case by case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Generic, TypeVar

from kbsync.domain.canonical import content_hash
from kbsync.domain.fluency import ngram_entropy
from kbsync.domain.verdict import match_names
from kbsync.ports import LanguageModel
from kbsync.research.cases import Case
from kbsync.research.consistency import Consistency
from kbsync.research.counterfact import CounterfactCase
from kbsync.research.metrics import GROUPS, contrast, mean_of, token_accuracy
from kbsync.research.zsre import ZsreCase

AnyCase = TypeVar("AnyCase", bound=Case)
EFFICACY, GENERALIZATION, SPECIFICITY = GROUPS


class Gauge(ABC, Generic[AnyCase]):
    """One way to measure. ``name`` appears in progress; ``key`` is the identity of all settings; ``cases``: how many
    cases it asks about at most (None: all that are measured)."""

    name: str
    cases: int | None

    @property
    @abstractmethod
    def key(self) -> str: ...

    @abstractmethod
    def measure(self, model: LanguageModel, cases: Sequence[AnyCase]) -> list[dict[str, float]]:
        """Figures of each case."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A prompt of one group of one case, with the names that count as the right greedy answer."""

    case: int
    group: str
    text: str
    names: tuple[str, ...]


def _greedy(model: LanguageModel, prompts: Sequence[_Prompt], tokens: int) -> list[dict[str, float]]:
    """Whether the greedy continuation of each prompt begins with a right name."""
    said = model.complete([prompt.text for prompt in prompts], max_new_tokens=tokens)
    return [
        {"greedy": float(match_names(text, prompt.names) is not None)}
        for text, prompt in zip(said, prompts, strict=True)
    ]


def _per_case(count: int, prompts: Sequence[_Prompt], figures: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Average the figures of each (case, group); ``prompts`` stand case by case, group by group."""
    found: list[dict[str, float]] = [{} for _ in range(count)]
    pairs = zip(prompts, figures, strict=True)
    for (case, group), members in groupby(pairs, key=lambda pair: (pair[0].case, pair[0].group)):
        found[case] |= mean_of([figure for _, figure in members], group)
    return found


def _merged(*parts: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for part in row for name, value in part.items()} for row in zip(*parts, strict=True)]


@dataclass(frozen=True, slots=True)
class CounterfactPrompts(Gauge[CounterfactCase]):
    """Both targets after every prompt (``success``, ``magnitude``, ``strict``), and what the model says (``greedy``)."""

    answer_tokens: int = 10
    cases: int | None = None
    name: str = "prompts"

    @property
    def key(self) -> str:
        return content_hash(["counterfact prompts", self.answer_tokens])

    def measure(self, model: LanguageModel, cases: Sequence[CounterfactCase]) -> list[dict[str, float]]:
        prompts = [prompt for number, case in enumerate(cases) for prompt in _counterfact_prompts(number, case)]
        pairs = [(p.text, answer) for p in prompts for answer in (cases[p.case].target, cases[p.case].true)]
        scores = model.scores(pairs)
        contrasts = [
            contrast(true, new) if prompt.group == SPECIFICITY else contrast(new, true)
            for prompt, new, true in zip(prompts, scores[::2], scores[1::2], strict=True)
        ]
        return _per_case(len(cases), prompts, _merged(contrasts, _greedy(model, prompts, self.answer_tokens)))


def _counterfact_prompts(number: int, case: CounterfactCase) -> list[_Prompt]:
    return [
        _Prompt(number, EFFICACY, case.prompt, (case.target,)),
        *(_Prompt(number, GENERALIZATION, text, (case.target,)) for text in case.paraphrases),
        *(_Prompt(number, SPECIFICITY, text, (case.true,)) for text in case.neighbours),
    ]


@dataclass(frozen=True, slots=True)
class CounterfactTexts(Gauge[CounterfactCase]):
    """``fluency`` of sampled texts, and their ``consistency`` where there are references.

    Texts begin with the case's generation prompts; where the file has none, with the edited prompt.
    """

    cases: int | None = None
    length: int = 100
    seed: int = 0
    consistency: Consistency | None = None
    name: str = "texts"

    @property
    def key(self) -> str:
        return content_hash(["counterfact texts", self.length, self.seed, self.consistency and self.consistency.key])

    def measure(self, model: LanguageModel, cases: Sequence[CounterfactCase]) -> list[dict[str, float]]:
        prompts = [case.generation or (case.prompt,) for case in cases]
        asked = [prompt for group in prompts for prompt in group]
        texts = iter(model.sample(asked, length=self.length, seed=self.seed))
        found = []
        for case, group in zip(cases, prompts, strict=True):
            mine = [next(texts) for _ in group]
            figures = {"fluency": fmean(map(ngram_entropy, mine))}
            if self.consistency:
                figures["consistency"] = self.consistency.score(mine, case.relation, case.target_id, case.id)
            found.append(figures)
        return found


@dataclass(frozen=True, slots=True)
class ZsrePrompts(Gauge[ZsreCase]):
    """Share of the answer's tokens that are the likeliest (``accuracy``), and what the model says (``greedy``)."""

    answer_tokens: int = 10
    cases: int | None = None
    name: str = "prompts"

    @property
    def key(self) -> str:
        return content_hash(["zsre prompts", self.answer_tokens])

    def measure(self, model: LanguageModel, cases: Sequence[ZsreCase]) -> list[dict[str, float]]:
        prompts = [prompt for number, case in enumerate(cases) for prompt in _zsre_prompts(number, case)]
        answers = [cases[p.case].neighbour_answer if p.group == SPECIFICITY else cases[p.case].target for p in prompts]
        pairs = [(prompt.text, answer) for prompt, answer in zip(prompts, answers, strict=True)]
        scores = model.scores(pairs)
        accuracies = [{"accuracy": token_accuracy(score)} for score in scores]
        return _per_case(len(cases), prompts, _merged(accuracies, _greedy(model, prompts, self.answer_tokens)))


def _zsre_prompts(number: int, case: ZsreCase) -> list[_Prompt]:
    return [
        _Prompt(number, EFFICACY, case.prompt, case.answers),
        *(_Prompt(number, GENERALIZATION, text, case.answers) for text in case.paraphrases),
        *(_Prompt(number, SPECIFICITY, text, (case.neighbour_answer,)) for text in case.neighbours),
    ]
