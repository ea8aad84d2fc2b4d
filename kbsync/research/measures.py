"""What is measured on benchmark cases: each measure asks a model about cases and returns figures case by case."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean
from typing import Generic, TypeVar

from kbsync.domain.canonical import content_hash
from kbsync.domain.fluency import ngram_entropy
from kbsync.domain.judging import asserts
from kbsync.ports import LanguageModel
from kbsync.research.cases import Case
from kbsync.research.consistency import Consistency
from kbsync.research.counterfact import CounterfactCase
from kbsync.research.metrics import GROUPS, contrast, mean_of, token_accuracy
from kbsync.research.zsre import ZsreCase

AnyCase = TypeVar("AnyCase", bound=Case)
EFFICACY, GENERALIZATION, SPECIFICITY = GROUPS


class Measure(ABC, Generic[AnyCase]):
    """A way to measure a model on cases."""

    name: str
    """The name that is shown while it runs."""
    cases: int | None
    """The most cases that it asks about; None: all cases of the run."""

    @property
    @abstractmethod
    def key(self) -> str:
        """A hash of all settings that the figures depend on."""

    @abstractmethod
    def measure(self, model: LanguageModel, cases: Sequence[AnyCase]) -> list[dict[str, float]]:
        """The figures of each case, by name."""


@dataclass(frozen=True, slots=True)
class _Prompt:
    """A prompt about one case."""

    case: int
    """The number of the case."""
    group: str
    """What the prompt measures: efficacy, generalization or specificity."""
    text: str
    names: tuple[str, ...]
    """The names that count as the right greedy answer."""
    true: tuple[str, ...] = ()
    """CounterFact's true answer about the edited subject; empty elsewhere."""
    before: str = ""
    """What the model reads before the prompt."""

    @property
    def read(self) -> str:
        """All that the model reads."""
        return self.before + self.text


def _greedy(model: LanguageModel, prompts: Sequence[_Prompt], tokens: int) -> list[dict[str, float]]:
    """``greedy``: 1.0 for each prompt whose greedy continuation asserts a right name, else 0.0. ``true``: the same for
    the true answer, where a prompt has one."""
    answers = model.complete([prompt.read for prompt in prompts], max_new_tokens=tokens)
    names = [("greedy", "names"), ("true", "true")]
    return [
        {key: float(asserts(text, getattr(p, of), prompt=p.text)) for key, of in names if getattr(p, of)}
        for text, p in zip(answers, prompts, strict=True)
    ]


def _per_case(count: int, prompts: Sequence[_Prompt], figures: Sequence[Mapping[str, float]]) -> list[dict[str, float]]:
    """Average the figures of each case and group; ``prompts`` come case by case, and group by group."""
    by_case: list[dict[str, float]] = [{} for _ in range(count)]
    pairs = zip(prompts, figures, strict=True)
    for (case, group), members in groupby(pairs, key=lambda pair: (pair[0].case, pair[0].group)):
        by_case[case] |= mean_of([figure for _, figure in members], group)
    return by_case


def _merged(*parts: Sequence[dict[str, float]]) -> list[dict[str, float]]:
    return [{name: value for part in row for name, value in part.items()} for row in zip(*parts, strict=True)]


@dataclass(frozen=True, slots=True)
class CounterfactPrompts(Measure[CounterfactCase]):
    """Scores of both targets after every prompt, and greedy answers.

    The scores give ``success``, ``magnitude`` and ``strict``; ``greedy`` is the share of right answers.

    ``generalization_true`` is the share of paraphrases that are answered with the true answer, among the cases whose
    edited prompt is. The base's says how often a fact that it knows is the greedy answer to such paraphrases at all.
    """

    answer_tokens: int = 10
    cases: int | None = None
    is_told: bool = False
    """Whether the model reads the edited fact, as a sentence, before each prompt that asks for it."""
    name: str = "prompts"

    @property
    def key(self) -> str:
        return content_hash(["counterfact prompts", 2, self.answer_tokens, *(["told"] if self.is_told else [])])

    def measure(self, model: LanguageModel, cases: Sequence[CounterfactCase]) -> list[dict[str, float]]:
        prompts = [prompt for number, case in enumerate(cases) for prompt in self._prompts(number, case)]
        pairs = [(p.read, answer) for p in prompts for answer in (cases[p.case].target, cases[p.case].true)]
        scores = model.scores(pairs)
        contrasts = [
            contrast(true, new) if prompt.group == SPECIFICITY else contrast(new, true)
            for prompt, new, true in zip(prompts, scores[::2], scores[1::2], strict=True)
        ]
        figures = _per_case(len(cases), prompts, _merged(contrasts, _greedy(model, prompts, self.answer_tokens)))
        return [_of_known(case) for case in figures]

    def _prompts(self, number: int, case: CounterfactCase) -> list[_Prompt]:
        told = f"{case.prompt} {case.target}. " if self.is_told else ""
        return [
            _Prompt(number, EFFICACY, case.prompt, (case.target,), (case.true,), told),
            *(_Prompt(number, GENERALIZATION, text, (case.target,), (case.true,), told) for text in case.paraphrases),
            *(_Prompt(number, SPECIFICITY, text, (case.true,)) for text in case.neighbours),
        ]


def _of_known(figures: Mapping[str, float]) -> dict[str, float]:
    """The same, with ``generalization_true`` only where the prompt itself is answered with the true answer."""
    known = figures[f"{EFFICACY}_true"] == 1.0
    dropped = {f"{EFFICACY}_true", *(() if known else (f"{GENERALIZATION}_true",))}
    return {name: value for name, value in figures.items() if name not in dropped}


@dataclass(frozen=True, slots=True)
class CounterfactTexts(Measure[CounterfactCase]):
    """The ``fluency`` of sampled texts, and their ``consistency`` with reference texts.

    Texts begin with the case's generation prompts; without any in the file, with the edited prompt.
    """

    cases: int | None = None
    length: int = 100
    """Tokens of a text, including its prompt."""
    seed: int = 0
    consistency: Consistency | None = None
    """Measures the consistency; None where there are no reference texts."""
    name: str = "texts"

    @property
    def key(self) -> str:
        return content_hash(["counterfact texts", self.length, self.seed, self.consistency and self.consistency.key])

    def measure(self, model: LanguageModel, cases: Sequence[CounterfactCase]) -> list[dict[str, float]]:
        prompts = [case.generation or (case.prompt,) for case in cases]
        every_prompt = [prompt for group in prompts for prompt in group]
        texts = iter(model.sample(every_prompt, length=self.length, seed=self.seed))
        by_case = []
        for case, group in zip(cases, prompts, strict=True):
            written = [next(texts) for _ in group]
            figures = {"fluency": fmean(map(ngram_entropy, written))}
            if self.consistency:
                figures["consistency"] = self.consistency.score(written, case.relation, case.target_id, case.id)
            by_case.append(figures)
        return by_case


@dataclass(frozen=True, slots=True)
class ZsrePrompts(Measure[ZsreCase]):
    """``accuracy``: the share of the answer's tokens that are the likeliest; ``greedy``: the share of right answers."""

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
