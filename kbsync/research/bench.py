"""The research benchmarks: edit a base with many cases at once, measure it, and write the evidence."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kbsync.domain.canonical import plain
from kbsync.domain.gate import Threshold
from kbsync.domain.rewrite import Preserved
from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.research.cases import Chosen, Part, cases_hash, select, split
from kbsync.research.consistency import Consistency, References
from kbsync.research.counterfact import CounterfactCase, read_counterfact
from kbsync.research.grid import UNEDITED, Algorithm, Bench, Cell, Grid, Suite
from kbsync.research.measures import CounterfactPrompts, CounterfactTexts, Measure, ZsrePrompts
from kbsync.research.metrics import GROUPS
from kbsync.research.preferred import preferred
from kbsync.research.records import file_hash
from kbsync.research.zsre import read_zsre

IN_CONTEXT = "context"
"""Name of the line of the unedited base that reads each fact before it is asked for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Data:
    """The cases of a run."""

    path: Path
    """The benchmark's file."""
    part: Part = Part.TEST
    seed: int = 0
    """Draws the order of the cases."""
    known: bool = False
    """Only cases that the base has right (CounterFact)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much is measured."""

    cases: int | None = None
    """The most cases that are measured: the first in the drawn order, so the same at every number of edits. None:
    all."""
    texts: int = 0
    """Cases whose fluency is measured."""
    answer_tokens: int = 10
    """The most tokens of a greedy answer."""
    chunk: int = 50
    """Cases in one part, which is kept when it is finished."""
    in_context: bool = False
    """Whether the unedited base is also asked with each fact in its context (CounterFact), as a retriever that never
    errs would put it there. In these cells neighbours are asked as always, and there are no texts."""


def run_counterfact(
    bench: Bench,
    data: Data,
    algorithms: Sequence[Algorithm],
    *,
    edits: int,
    extent: Extent = Extent(),
    references: References | None = None,
    targets: Sequence[Threshold] = (),
) -> dict[str, Any]:
    """Edit ``edits`` cases at once with each algorithm; returns the evidence document.

    ``references`` adds the consistency score of the texts (and must not be empty). A target's ``metric`` is the name of
    a figure, such as ``memit@100.score``. Raises ``DataError`` for data that can't be read or is too small,
    ``EditError`` when an edit fails, ``Stopped`` between two parts.
    """
    command = "kbsync bench counterfact"
    return run_lines(bench, data, algorithms, [edits], extent, targets, command, references)


def run_scaling(
    bench: Bench,
    data: Data,
    algorithms: Sequence[Algorithm],
    *,
    sizes: Iterable[int],
    extent: Extent = Extent(),
    targets: Sequence[Threshold] = (),
) -> dict[str, Any]:
    """CounterFact at several numbers of edits. Each edits the base, and a larger number includes the smaller's cases.

    Arguments and errors as of :func:`run_counterfact`; :func:`kbsync.research.plots.plot_scaling` draws the result.
    """
    return run_lines(bench, data, algorithms, sorted(set(sizes)), extent, targets, "kbsync bench scaling")


def run_zsre(
    bench: Bench,
    data: Data,
    algorithms: Sequence[Algorithm],
    *,
    edits: int,
    extent: Extent = Extent(),
    targets: Sequence[Threshold] = (),
) -> dict[str, Any]:
    """zsRE: ``edits`` right answers written at once. Arguments and errors as of :func:`run_counterfact`."""
    chosen = Chosen(select(split(list(read_zsre(data.path)), data.part), edits, seed=data.seed), edits)
    suite = Suite([ZsrePrompts(extent.answer_tokens)], _score("accuracy"), extent.cases, extent.chunk)
    return _document(bench, data, algorithms, [edits], chosen, suite, targets, "kbsync bench zsre")


def run_lines(
    bench: Bench,
    data: Data,
    algorithms: Sequence[Algorithm],
    sizes: Sequence[int],
    extent: Extent,
    targets: Sequence[Threshold],
    command: str,
    references: References | None = None,
) -> dict[str, Any]:
    """CounterFact with every algorithm at every size; returns the evidence document of ``command``."""
    chosen = choose(bench, data, max(sizes))
    measures: list[Measure[Any]] = [CounterfactPrompts(extent.answer_tokens)]
    if extent.texts:
        consistency = None if references is None else Consistency(references)
        measures.append(CounterfactTexts(extent.texts, seed=data.seed, consistency=consistency))
    suite = Suite(measures, _score("success"), extent.cases, extent.chunk)
    lines = with_guards(algorithms, data)
    return _document(bench, data, lines, sizes, chosen, suite, targets, command, in_context=extent.in_context)


def with_guards(algorithms: Sequence[Algorithm], data: Data) -> list[Algorithm]:
    """The lines, each with as many guards as its recipe asks for: neighbours of the cases that are not measured.

    They are the benchmark's counterpart of the ledger's facts that the base has right. They share no subject and no
    prompt with a measured case. Where all cases are measured there are none.
    """
    most = max((a.recipe.guard_count for a in algorithms), default=0)
    if not most or data.part is Part.ALL:
        return list(algorithms)
    others = split(list(read_counterfact(data.path)), Part.DEV if data.part is Part.TEST else Part.TEST)
    prompts = dict.fromkeys(text for case in select(others, None, seed=data.seed) for text in case.neighbours)
    guards = tuple(Preserved("{}", prompt) for prompt in prompts)[:most]
    return [replace(a, guards=guards[: a.recipe.guard_count]) for a in algorithms]


def choose(bench: Bench, data: Data, count: int) -> Chosen[CounterfactCase]:
    """``count`` CounterFact cases, as ``data`` describes them. Raises ``DataError`` if there are fewer."""
    cases = split(list(read_counterfact(data.path)), data.part)
    if data.known:
        return preferred(bench, select(cases, None, seed=data.seed), count)
    return Chosen(select(cases, count, seed=data.seed), count)


def _score(kind: str) -> dict[str, tuple[str, ...]]:
    """The editing score: the harmonic mean of efficacy, generalization and specificity."""
    return {"score": tuple(f"{group}_{kind}" for group in GROUPS)}


def _document(
    bench: Bench,
    data: Data,
    algorithms: Sequence[Algorithm],
    sizes: Sequence[int],
    chosen: Chosen[Any],
    suite: Suite,
    targets: Sequence[Threshold],
    command: str,
    *,
    in_context: bool = False,
) -> dict[str, Any]:
    """Measure the grid; returns its evidence: figures named ``algorithm@edits.figure``, and cells with all details."""
    started, begun = bench.clock.now(), time.monotonic()
    others = (UNEDITED, *((IN_CONTEXT,) if in_context else ()))
    lines = [f"{name}@{size}" for size in sizes for name in (*others, *(a.name for a in algorithms if a.takes(size)))]
    if len(set(lines)) < len(lines):
        raise ValueError(f"two lines have one name: {', '.join(lines)}")
    if unknown := [t.metric for t in targets if t.metric.rpartition(".")[0] not in lines]:
        raise ValueError(f"no line of this run has {', '.join(unknown)}")
    cells = list(Grid(bench, suite).cells(chosen.cases, algorithms, sizes))
    cells += _in_context(bench, suite, chosen.cases, sizes) if in_context else []
    told = {a.name: dict(a.wording.told(chosen.cases)) for a in algorithms}
    return evidence(
        command,
        with_targets([figure for cell in cells for figure in _figures(cell, cells)], targets),
        seed=data.seed,
        started=started,
        seconds=time.monotonic() - begun,
        model={"reference": bench.loaded.reference, "fingerprint": bench.base.fingerprint},
        recipes={a.name: plain(a.recipe) | {"fingerprint": a.recipe.fingerprint} for a in algorithms},
        data={
            "file": data.path.name,
            "sha256": file_hash(data.path),
            "part": data.part.value,
            "known": data.known,
            "asked": chosen.asked,
            "cases_sha256": cases_hash(chosen.cases),
            **({"written": written} if (written := {name: what for name, what in told.items() if what}) else {}),
        },
        results=plain(cells),
    )


def _in_context(bench: Bench, suite: Suite, cases: Sequence[Any], sizes: Sequence[int]) -> list[Cell]:
    """The base's cells with each fact in the context."""
    measures = [replace(m, is_told=True) for m in suite.measures if isinstance(m, CounterfactPrompts)]
    told = Grid(replace(bench, held_out=()), replace(suite, measures=measures))
    return [replace(cell, algorithm=IN_CONTEXT) for cell in told.cells(cases, (), sizes)]


def _figures(cell: Cell, cells: Sequence[Cell]) -> list[Figure]:
    name = f"{cell.algorithm}@{cell.edits}"
    figures = [Figure(f"{name}.{key}", estimate.value, _unit(key)) for key, estimate in sorted(cell.estimates.items())]
    base = next(c for c in cells if c.algorithm == UNEDITED)
    if cell.perplexity is not None and base.perplexity is not None:
        figures.append(Figure(f"{name}.perplexity", cell.perplexity, "per token"))
        if cell is not base:
            figures.append(Figure(f"{name}.perplexity_growth", cell.perplexity / base.perplexity - 1, "share"))
    if cell.edit is not None:
        figures.append(Figure(f"{name}.left_out", len(cell.edit["left_out"]), "cases"))
        figures.append(Figure(f"{name}.edit_seconds", cell.edit["seconds"], "s"))
    return figures


def _unit(figure: str) -> str:
    units = {"fluency": "bits × 100", "consistency": "cosine × 100"}
    return units.get(figure, "probability" if figure.endswith("_magnitude") else "share")


def with_targets(figures: Sequence[Figure], targets: Sequence[Threshold]) -> list[Figure]:
    """The figures, those that have a target judged. A target that names no figure raises ``ValueError``."""
    by_name = {target.metric: target for target in targets}
    if unknown := set(by_name) - {figure.name for figure in figures}:
        raise ValueError(f"no figure is named {', '.join(sorted(unknown))}")
    return [_judged(figure, by_name[figure.name]) if figure.name in by_name else figure for figure in figures]


def _judged(figure: Figure, target: Threshold) -> Figure:
    if target.at_least is not None:
        return at_least(figure.name, figure.value, figure.unit, target.at_least)
    if target.at_most is not None:
        return at_most(figure.name, figure.value, figure.unit, target.at_most)
    raise ValueError(f"the target of {figure.name} has no bound")
