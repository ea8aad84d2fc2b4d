"""A grid of (algorithm, number of edits): each cell is one mass edit of the base and its measurement."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

from kbsync.domain.audit import GENESIS
from kbsync.domain.canonical import content_hash, plain
from kbsync.domain.errors import DataError
from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved
from kbsync.domain.version import Manifest
from kbsync.model.load import LoadedModel
from kbsync.ports import ArtifactStore, BaseModel, CheckpointStore, Clock, Delta, Editor, LanguageModel, Work
from kbsync.research.cases import Case, cases_hash
from kbsync.research.measures import Measure
from kbsync.research.metrics import Estimate, summarise
from kbsync.research.result_cache import EDITED_BY, MEASURED_BY, ResultCache
from kbsync.research.stopwatch import Stopwatch
from kbsync.research.wording import PUBLISHED, Wording

UNEDITED = "none"
"""Name of the line of the unedited base, which is always measured."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A line of the benchmark."""

    name: str
    recipe: Recipe
    editor: Callable[[], Editor]
    """Makes the editor; called only when an edit must be computed."""
    inputs: str
    """Hash of everything else that the editor is given, such as its covariance texts."""
    most: int | None = None
    """The most edits that are measured; None: no limit."""
    wording: Wording = PUBLISHED
    """In which words the cases are written."""
    guards: tuple[Preserved, ...] = ()
    """What every edit of this line guards."""

    def takes(self, size: int) -> bool:
        """Whether this number of edits is measured."""
        return self.most is None or size <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The model and the stores that a run needs. Both stores may be deleted after the run."""

    loaded: LoadedModel
    base: BaseModel
    """Must edit the very model that ``loaded`` holds."""
    artifacts: ArtifactStore
    """Keeps finished parts."""
    versions: CheckpointStore
    """Keeps the weights of the edits."""
    clock: Clock
    work: Work
    held_out: Sequence[str] = ()
    """Texts for the perplexity; empty: it is not measured."""


@dataclass(frozen=True, slots=True)
class Suite:
    """What is measured of each cell."""

    measures: Sequence[Measure[Any]]
    """Give the figures of each case."""
    scores: Mapping[str, tuple[str, ...]]
    """Harmonic means: the figures that go into each, by its name."""
    cases: int | None
    """The most cases that are measured; None: all that are edited."""
    chunk: int
    """Cases in one part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One measured cell."""

    algorithm: str
    edits: int
    """Cases that the editor was given."""
    measured: int
    """Cases that the model was asked about."""
    estimates: Mapping[str, Estimate]
    perplexity: float | None
    """Over all tokens of the held-out texts; None without such texts."""
    edit: Mapping[str, Any] | None
    """``seconds``, ``left_out``, ``targets_reused``, ``layers`` and ``version`` of the edit, and the processor seconds
    of its ``steps``. None: the base."""
    texts: Sequence[tuple[float, int]] = ()
    """Perplexity and number of tokens of each held-out text."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a measurement."""

    inputs: dict[str, Any]
    """What its result depends on beside the weights."""
    work: Callable[[LanguageModel], Any]
    size: int


class Grid:
    """Runs cells and keeps their parts: a killed run goes on where it stopped, and loses one part at most."""

    def __init__(self, bench: Bench, suite: Suite) -> None:
        self._bench = bench
        self._suite = suite
        self._edits = ResultCache(bench.artifacts, "bench-edit", EDITED_BY)
        self._measures = ResultCache(bench.artifacts, "bench-measure", MEASURED_BY)

    def cells(self, cases: Sequence[Case], algorithms: Sequence[Algorithm], sizes: Sequence[int]) -> Iterator[Cell]:
        """For every size, the base and each algorithm on the first ``size`` cases, all of them written in one edit.

        Raises:
            EditError: An edit fails.
            Stopped: A stop was asked for; raised between two parts.
        """
        for size in sizes:
            yield self._cell(UNEDITED, cases[:size], self._bench.base.fingerprint, None, self._unedited)
            for algorithm in (a for a in algorithms if a.takes(size)):
                edit, delta = self._edited(algorithm, cases[:size])
                yield self._cell(
                    algorithm.name, cases[:size], edit["version"], edit, partial(self._bench.base.edited, delta)
                )

    def _unedited(self) -> AbstractContextManager[LanguageModel]:
        return nullcontext(self._bench.base.language_model())

    def _edited(self, algorithm: Algorithm, cases: Sequence[Case]) -> tuple[Mapping[str, Any], Delta]:
        """The edit's description and its weights, from the store if this very edit was made before."""
        bench, recipe = self._bench, algorithm.recipe
        is_practised = recipe.refine_frames and recipe.refine_epochs > 0
        rewrites = [algorithm.wording.rewrite(case, is_practised=is_practised) for case in cases]
        inputs: dict[str, Any] = {
            "base": bench.base.fingerprint,
            "recipe": recipe.fingerprint,
            "editor": algorithm.inputs,
            "requests": [rewrite.id for rewrite in rewrites],
        }
        if algorithm.guards:
            inputs["guards"] = [guard.id for guard in algorithm.guards]
        kept = self._edits.get(**inputs)
        if kept is not None and kept["version"] in bench.versions.hashes():
            return kept, bench.versions.read(kept["version"])[1]
        watch = Stopwatch(bench.work.progress)
        work = bench.work.shown_by(watch)
        edit = algorithm.editor().edit(rewrites, recipe, work, guards=algorithm.guards)
        manifest = Manifest(
            base_fingerprint=bench.base.fingerprint,
            build_hash=content_hash(inputs),
            recipe=recipe,
            requests=(),  # requests have a provenance, and a benchmark's case has none; build_hash covers the ids
            factors=bench.versions.factor_hashes(edit.delta),
            targets=dict(edit.targets),
            covariance_fingerprint=edit.covariance_fingerprint,
            libraries=dict(edit.libraries),
            report=edit.report,
            audit_head=GENESIS,
            created_at=bench.clock.now(),
        )
        description = {
            "version": bench.versions.write(manifest, edit.delta),
            "seconds": edit.report.seconds,
            "steps": {step: seconds.processor for step, seconds in sorted(watch.seconds.items())},
            "left_out": dict(edit.report.left_out),
            "targets_reused": edit.report.targets_reused,
            "layers": plain(edit.report.layers),
        }
        return self._edits.make(lambda: description, **inputs), edit.delta

    def _cell(
        self,
        name: str,
        cases: Sequence[Case],
        weights: str,
        edit: Mapping[str, Any] | None,
        model: Callable[[], AbstractContextManager[LanguageModel]],
    ) -> Cell:
        measured = cases[: self._suite.cases]
        by_measure = [(measure, measured[: measure.cases]) for measure in self._suite.measures]
        parts = [
            self._part(measure, chunk) for measure, some in by_measure for chunk in _chunks(some, self._suite.chunk)
        ]
        texts = self._bench.held_out
        if texts:
            about = {"perplexity of each of": content_hash(list(texts))}
            parts.append(_Part(about, lambda m: _by_text(m, texts), len(texts)))
        values = self._do(parts, weights, model, f"measure {name} at {len(cases)}")
        by_text = [(float(value), int(tokens)) for value, tokens in values.pop()] if texts else []
        figures: list[dict[str, float]] = [{} for _ in measured]
        chunks = iter(values)
        for _, some in by_measure:
            rows = (row for _ in _chunks(some, self._suite.chunk) for row in next(chunks))
            for row, case_figures in zip(figures, rows, strict=False):
                row |= case_figures
        return Cell(
            algorithm=name,
            edits=len(cases),
            measured=len(measured),
            estimates=summarise(figures, self._suite.scores),
            perplexity=_over_all(by_text) if by_text else None,
            edit=edit,
            texts=by_text,
        )

    def _part(self, measure: Measure[Any], chunk: Sequence[Case]) -> _Part:
        def work(model: LanguageModel) -> list[dict[str, float]]:
            return measure.measure(model, chunk)

        return _Part({"measure": measure.key, "cases": cases_hash(chunk)}, work, len(chunk))

    def _do(
        self,
        parts: Sequence[_Part],
        weights: str,
        model: Callable[[], AbstractContextManager[LanguageModel]],
        stage: str,
    ) -> list[Any]:
        """Results of all parts, in order. The weights are put in place only if a result is missing."""
        values = [self._measures.get(weights=weights, **part.inputs) for part in parts]
        missing = [index for index, value in enumerate(values) if value is None]
        if missing:
            self._bench.work.start(stage, sum(parts[index].size for index in missing))
            with model() as edited:
                for index in missing:
                    part = parts[index]
                    values[index] = self._measures.make(partial(part.work, edited), weights=weights, **part.inputs)
                    self._bench.work.advance(part.size)
            self._bench.work.finish()
        return values


def _by_text(model: LanguageModel, texts: Sequence[str]) -> list[list[float]]:
    """Perplexity and number of tokens of each text. A text of one token is left out: nothing predicts it."""
    measured = []
    for text in texts:
        with suppress(DataError):
            perplexity = model.perplexity([text])
            measured.append([perplexity.value, perplexity.tokens])
    if not measured:
        model.perplexity(texts)  # raises, and says what is wrong with all of them
    return measured


def _over_all(by_text: Sequence[tuple[float, int]]) -> float:
    """The perplexity over all tokens, from the perplexity and the tokens of each text."""
    tokens = sum(count for _, count in by_text)
    return math.exp(math.fsum(count * math.log(value) for value, count in by_text) / tokens)


def _chunks(cases: Sequence[Case], size: int) -> list[Sequence[Case]]:
    return [cases[start : start + size] for start in range(0, len(cases), size)]
