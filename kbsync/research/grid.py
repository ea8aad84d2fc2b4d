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
from kbsync.domain.version import Manifest
from kbsync.model.load import LoadedModel
from kbsync.ports import ArtifactStore, BaseModel, CheckpointStore, Clock, Delta, Editor, LanguageModel, Work
from kbsync.research.cases import Case, cases_hash
from kbsync.research.gauges import Gauge
from kbsync.research.metrics import Estimate, summarise
from kbsync.research.parts import EDITED_BY, MEASURED_BY, Parts

UNEDITED = "none"
"""Name of the line that shows the base as it is; always measured."""


@dataclass(frozen=True, slots=True)
class Algorithm:
    """A line of the benchmark; ``editor`` is called when an edit must be computed.

    ``inputs`` is the identity (a hash) of whatever else the editor was given, such as its covariance texts. ``most``:
    the line ends at so many edits (None: it does not).
    """

    name: str
    recipe: Recipe
    editor: Callable[[], Editor]
    inputs: str
    most: int | None = None

    def takes(self, size: int) -> bool:
        """Whether so many edits are on the line."""
        return self.most is None or size <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The model and the places that a run needs. ``base`` must edit the very model that ``loaded`` holds.

    ``artifacts`` keeps finished parts, ``versions`` the edits' weights (both may be deleted after the run);
    ``held_out`` are the texts of the perplexity (empty: it is not measured).
    """

    loaded: LoadedModel
    base: BaseModel
    artifacts: ArtifactStore
    versions: CheckpointStore
    clock: Clock
    work: Work
    held_out: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Suite:
    """What is measured: gauges give figures of each case, ``scores`` are harmonic means of some of them."""

    gauges: Sequence[Gauge[Any]]
    scores: Mapping[str, tuple[str, ...]]
    cases: int | None
    chunk: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One measured cell. ``edit`` tells about the edit (None: the base): ``seconds``, ``left_out``, ``layers``,
    ``version``.

    ``edits`` counts the cases given to the editor, ``measured`` those asked about. ``perplexity`` is over all tokens of
    the held-out texts (None where there are none), ``texts`` the perplexity and the tokens of each.
    """

    algorithm: str
    edits: int
    measured: int
    estimates: Mapping[str, Estimate]
    perplexity: float | None
    edit: Mapping[str, Any] | None
    texts: Sequence[tuple[float, int]] = ()


@dataclass(frozen=True, slots=True)
class _Job:
    """A part of a measurement; ``inputs`` are its identity beside the weights."""

    inputs: dict[str, Any]
    work: Callable[[LanguageModel], Any]
    size: int


class Grid:
    """Runs cells and keeps their parts: a killed run goes on where it stopped, and loses one part at most."""

    def __init__(self, bench: Bench, suite: Suite) -> None:
        self._bench = bench
        self._suite = suite
        self._edits = Parts(bench.artifacts, "bench-edit", EDITED_BY)
        self._measures = Parts(bench.artifacts, "bench-measure", MEASURED_BY)

    def cells(self, cases: Sequence[Case], algorithms: Sequence[Algorithm], sizes: Sequence[int]) -> Iterator[Cell]:
        """For every size the base and each algorithm with the first so many of ``cases``, all edited at once.

        Raises ``EditError`` when an edit fails, ``Stopped`` between two parts.
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
        """What is told about the edit, and its weights: from the store where this very edit was made before."""
        bench, rewrites = self._bench, [case.rewrite for case in cases]
        inputs = {
            "base": bench.base.fingerprint,
            "recipe": algorithm.recipe.fingerprint,
            "editor": algorithm.inputs,
            "requests": [rewrite.id for rewrite in rewrites],
        }
        known = self._edits.get(**inputs)
        if known is not None and known["version"] in bench.versions.hashes():
            return known, bench.versions.read(known["version"])[1]
        edit = algorithm.editor().edit(rewrites, algorithm.recipe, bench.work)
        manifest = Manifest(
            base_fingerprint=bench.base.fingerprint,
            build_hash=content_hash(inputs),
            recipe=algorithm.recipe,
            requests=(),  # requests have a provenance, and a benchmark's case has none; build_hash covers the ids
            factors=bench.versions.factor_hashes(edit.delta),
            targets=dict(edit.targets),
            covariance_fingerprint=edit.covariance_fingerprint,
            libraries=dict(edit.libraries),
            report=edit.report,
            audit_head=GENESIS,
            created_at=bench.clock.now(),
        )
        told = {
            "version": bench.versions.write(manifest, edit.delta),
            "seconds": edit.report.seconds,
            "left_out": dict(edit.report.left_out),
            "layers": plain(edit.report.layers),
        }
        return self._edits.make(lambda: told, **inputs), edit.delta

    def _cell(
        self,
        name: str,
        cases: Sequence[Case],
        weights: str,
        edit: Mapping[str, Any] | None,
        model: Callable[[], AbstractContextManager[LanguageModel]],
    ) -> Cell:
        measured = cases[: self._suite.cases]
        asked = [(gauge, measured[: gauge.cases]) for gauge in self._suite.gauges]
        jobs = [self._gauge_job(gauge, chunk) for gauge, some in asked for chunk in _chunks(some, self._suite.chunk)]
        texts = self._bench.held_out
        if texts:
            about = {"perplexity of each of": content_hash(list(texts))}
            jobs.append(_Job(about, lambda m: _by_text(m, texts), len(texts)))
        values = self._do(jobs, weights, model, f"measure {name} at {len(cases)}")
        by_text = [(float(value), int(tokens)) for value, tokens in values.pop()] if texts else []
        figures: list[dict[str, float]] = [{} for _ in measured]
        answers = iter(values)
        for _, some in asked:
            found = (row for _ in _chunks(some, self._suite.chunk) for row in next(answers))
            for row, case_figures in zip(figures, found, strict=False):
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

    def _gauge_job(self, gauge: Gauge[Any], chunk: Sequence[Case]) -> _Job:
        def work(model: LanguageModel) -> list[dict[str, float]]:
            return gauge.measure(model, chunk)

        return _Job({"gauge": gauge.key, "cases": cases_hash(chunk)}, work, len(chunk))

    def _do(
        self,
        jobs: Sequence[_Job],
        weights: str,
        model: Callable[[], AbstractContextManager[LanguageModel]],
        stage: str,
    ) -> list[Any]:
        """Values of all jobs in order; the weights are put in place only where something is missing."""
        values = [self._measures.get(weights=weights, **job.inputs) for job in jobs]
        missing = [index for index, value in enumerate(values) if value is None]
        if missing:
            self._bench.work.start(stage, sum(jobs[index].size for index in missing))
            with model() as edited:
                for index in missing:
                    job = jobs[index]
                    values[index] = self._measures.make(partial(job.work, edited), weights=weights, **job.inputs)
                    self._bench.work.advance(job.size)
            self._bench.work.finish()
        return values


def _by_text(model: LanguageModel, texts: Sequence[str]) -> list[list[float]]:
    """Perplexity and tokens of each text. A text of one token, which nothing predicts, is passed over."""
    found = []
    for text in texts:
        with suppress(DataError):
            measured = model.perplexity([text])
            found.append([measured.value, measured.tokens])
    if not found:
        model.perplexity(texts)  # says what is wrong with all of them
    return found


def _over_all(by_text: Sequence[tuple[float, int]]) -> float:
    """The perplexity over all tokens, from the perplexity and the tokens of each text."""
    tokens = sum(count for _, count in by_text)
    return math.exp(math.fsum(count * math.log(value) for value, count in by_text) / tokens)


def _chunks(cases: Sequence[Case], size: int) -> list[Sequence[Case]]:
    return [cases[start : start + size] for start in range(0, len(cases), size)]
