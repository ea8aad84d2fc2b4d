"""The same questions, answered in each way that a user may choose: an edit, context, retrieval, fine-tuning, or both.

Every finished part (the weights of an edit, an adapter, some answers of one way) is kept, so that a run that was
stopped or killed goes on where it was.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import Any

from kbsync.bootstrap import App
from kbsync.domain.fact import FactKey
from kbsync.domain.judging import asserts
from kbsync.domain.phrasing import Form
from kbsync.domain.recipe import Recipe
from kbsync.model.tokens import encode
from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.ports import ArtifactStore, LanguageModel
from kbsync.research.alternative_prompts import (
    AskedFact,
    Way,
    Weights,
    ask,
    by_form,
    drawn,
    share,
)
from kbsync.research.alternative_weights import Changes, Material, material_of
from kbsync.research.lora import LoraSettings, require_peft
from kbsync.research.result_cache import MEASURED_BY, ResultCache
from kbsync.research.retrieval import Retriever, require_bm25s
from kbsync.research.session import ResearchSession, shown_reference
from kbsync.research.written_facts import PhrasingsExtent, open_site
from kbsync.stages.facts import WatchedFact

ACCURACY = 0.9
KEPT = 0.97
GROWTH = 0.025
"""What the edit is to reach: of each form, of facts that the base knows, and of the perplexity at most."""
CHUNK = 60
"""Questions in one part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlternativesSettings:
    """How much is measured."""

    facts: int = 60
    """The most edited facts that are asked about; all of them are written and trained."""
    known: int = 60
    """The most other facts that the base is asked about; those that it has right are asked of every way."""
    per_form: int = 1
    """Number of held-out phrasings of each form in which each fact is asked."""
    passages: int = 2
    """Number of facts that are retrieved for each question."""
    answer_tokens: int = 8
    """The most tokens of an answer."""
    timed: int = 20
    """Number of questions that are asked one by one, to measure the time of an answer."""
    seed: int = 0
    """Draws facts, phrasings, and what is random in the fine-tuning."""
    lora: LoraSettings = field(default_factory=LoraSettings)


@dataclass(frozen=True, slots=True)
class Answers:
    """What one way gives."""

    right: list[bool]
    """For each question."""
    tokens: list[int]
    """Of each prompt."""


class Alternatives:
    """Asks all ways, and keeps what is finished."""

    def __init__(
        self, app: App, artifacts: ArtifactStore, recipe: Recipe, material: Material, settings: AlternativesSettings
    ) -> None:
        self.material = material
        self.settings = settings
        self.changes = Changes(app, artifacts, recipe, material, replace(settings.lora, seed=settings.seed))
        self._app = app
        self._answers = ResultCache(artifacts, "alternatives", MEASURED_BY)

    @cached_property
    def retriever(self) -> Retriever:
        """Over all facts of the ledger."""
        return Retriever(self.material.sentences)

    @cached_property
    def edited(self) -> list[AskedFact]:
        """The questions about edited facts."""
        return self._questions(self.material.edited, self.settings.facts)

    @cached_property
    def known(self) -> list[AskedFact]:
        """The questions about facts that are neither edited nor guarded, to which the base knows the answer."""
        asked = self._questions(self.material.others, self.settings.known)
        right = self.answer(Way.BASE, asked).right
        return [question for question, is_right in zip(asked, right, strict=True) if is_right]

    def _questions(self, watched: Mapping[FactKey, WatchedFact], count: int) -> list[AskedFact]:
        settings = self.settings
        keys = drawn(watched, count, settings.seed)
        return [q for key in keys for q in ask(*watched[key], settings.per_form, settings.seed)]

    def prompt(self, way: Way, asked: AskedFact) -> str:
        """What the model reads."""
        if way in (Way.CONTEXT, Way.EDIT_CONTEXT):
            return asked.after([asked.sentence])
        if way is Way.RETRIEVED:
            return asked.after(self.retriever.best(asked.text, self.settings.passages))
        return asked.prompt

    def answer(self, way: Way, asked: Sequence[AskedFact]) -> Answers:
        """Greedy answers, judged as everywhere; the judge is told the question without what stands before it."""
        prompts = [self.prompt(way, question) for question in asked]
        tokenizer = self._app.loaded.tokenizer
        chunks = [prompts[start : start + CHUNK] for start in range(0, len(prompts), CHUNK)]
        replies = [text for chunk in self._parts(way, "answers", chunks, self._complete) for text in chunk]
        return Answers(
            [asserts(r, q.names, prompt=q.prompt) for r, q in zip(replies, asked, strict=True)],
            [len(item.ids) for item in encode(tokenizer, prompts)],
        )

    def seconds(self, way: Way, asked: Sequence[AskedFact]) -> float:
        """Mean time of one answer, asked by itself, with what is searched for it; the first one only warms up."""
        chosen = asked[:: max(1, len(asked) // self.settings.timed)][: self.settings.timed]

        def measure(model: LanguageModel, _: Sequence[str]) -> list[float]:
            self._complete(model, [self.prompt(way, chosen[0])])
            taken = []
            for question in chosen:
                begun = time.perf_counter()
                self._complete(model, [self.prompt(way, question)])
                taken.append(time.perf_counter() - begun)
            return taken

        (taken,) = self._parts(way, "seconds", [[self.prompt(way, question) for question in chosen]], measure)
        return fmean(taken)

    def perplexity(self, way: Way) -> float | None:
        """On held-out text; None where there is none."""
        texts = list(self._app.held_out)
        if not texts:
            return None
        (value,) = self._parts(way, "perplexity", [texts], lambda model, chunk: model.perplexity(chunk).value)
        return float(value)

    def _complete(self, model: LanguageModel, prompts: Sequence[str]) -> list[str]:
        return model.complete(prompts, max_new_tokens=self.settings.answer_tokens)

    def _parts(
        self, way: Way, what: str, chunks: Sequence[list[str]], compute: Callable[[LanguageModel, list[str]], Any]
    ) -> list[Any]:
        """The results of all chunks; the way's weights are put in place only if one of them is missing."""
        weights = Weights.of(way)
        keys: list[dict[str, Any]] = [
            {
                "what": what,
                "weights": self.changes.inputs(weights),
                "prompts": chunk,
                "tokens": self.settings.answer_tokens,
            }
            | ({"way": way} if what == "seconds" else {})
            for chunk in chunks
        ]
        values = [self._answers.get(**key) for key in keys]
        missing = [index for index, value in enumerate(values) if value is None]
        if missing:
            with self._model(weights) as model:
                self._app.work.start(f"{what} of {way}", len(missing))
                for index in missing:
                    values[index] = self._answers.make(partial(compute, model, chunks[index]), **keys[index])
                    self._app.work.advance()
                self._app.work.finish()
        return values

    def _model(self, weights: Weights) -> AbstractContextManager[LanguageModel]:
        if weights is Weights.BASE:
            return nullcontext(self._app.base.language_model())
        return self._app.base.edited(self.changes.delta(weights))


def run_alternatives(session: ResearchSession, directory: Path, settings: AlternativesSettings) -> dict[str, Any]:
    """Ask every way, and return the evidence.

    Args:
        session: Model, recipe and texts.
        directory: The demonstration's state directory. Its ledger is copied, and not changed.
        settings: How much is measured.

    Raises:
        DataError: There is no ledger, it has no fact that the model has wrong, or a library is missing.
        EditError: The edit fails.
        Stopped: A stop was asked for; raised between two parts.
    """
    require_peft()
    require_bm25s()
    started, begun = session.app.clock.now(), time.monotonic()
    recipe = session.recipes[0]
    with open_site(session, directory, PhrasingsExtent(answer_tokens=settings.answer_tokens)) as site:
        line = site.variant(recipe, "given")
        material = material_of(site.facts, line.requests, line.guards)
        bench = Alternatives(site.app, session.artifacts, recipe, material, settings)
        figures = [figure for way in Way for figure in _figures(bench, way)]
        return evidence(
            "kbsync bench alternatives",
            [*figures, *_more(bench)],
            seed=settings.seed,
            started=started,
            seconds=time.monotonic() - begun,
            model={
                "reference": shown_reference(site.app.settings.model.reference),
                "fingerprint": site.app.base.fingerprint,
            },
            recipe={"name": recipe.name, "fingerprint": recipe.fingerprint},
            settings=asdict(settings),
            data={
                "ledger_sha256": site.ledger_sha256,
                "edited": len(material.edited),
                "guarded": len(material.guarded),
                "searched": len(material.sentences),
                "prompts": dict(Counter(q.form.value for q in bench.edited)),
                "known": dict(Counter(q.form.value for q in bench.known)),
            },
        )


def _figures(bench: Alternatives, way: Way) -> Iterator[Figure]:
    answers = bench.answer(way, bench.edited)
    for form, right in by_form(bench.edited, answers.right).items():
        yield _judged(way, form, right)
    yield Figure(f"{way}.tokens", fmean(answers.tokens), "tokens")
    yield Figure(f"{way}.seconds", bench.seconds(way, bench.edited), "s")
    if bench.known and way is not Way.BASE:
        name, kept = f"{way}.specificity", share(bench.answer(way, bench.known).right)
        yield at_least(name, kept, "share", KEPT) if way is Way.EDIT else Figure(name, kept, "share")


def _judged(way: Way, form: Form, right: float) -> Figure:
    name = f"{way}.{form}"
    return at_least(name, right, "share", ACCURACY) if way is Way.EDIT else Figure(name, right, "share")


def _more(bench: Alternatives) -> Iterator[Figure]:
    """What explains the others: how often the retriever finds the fact, what changed weights do to text, what they
    cost."""
    best = [bench.retriever.best(q.text, bench.settings.passages) for q in bench.edited]
    yield Figure("retrieved.found", share([q.sentence in b for q, b in zip(bench.edited, best, strict=True)]), "share")
    before = bench.perplexity(Way.BASE)
    for way, weights in ((Way.EDIT, Weights.EDIT), (Way.LORA, Weights.LORA)):
        after = bench.perplexity(way)
        if before is not None and after is not None:
            name, growth = f"{way}.perplexity_growth", after / before - 1
            yield at_most(name, growth, "share", GROWTH) if way is Way.EDIT else Figure(name, growth, "share")
        yield Figure(f"{way}.made_in", bench.changes.seconds(weights), "s")
