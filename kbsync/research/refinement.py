"""What each part of the joint refinement brings, and what it takes: the same cases in several ways, by CounterFact.

The closed form's own frontier (λ) stands beside the refinement's (β and τ, which hold preserved prompts and ordinary
text), and beside other recipes, such as breadth-first fine-tuning of one matrix.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from kbsync.domain.recipe import Recipe
from kbsync.editing.memit.refinement import REFINEMENT
from kbsync.operations.evidence import Figure, at_most
from kbsync.research.bench import Data, Extent, run_lines
from kbsync.research.grid import Algorithm, Bench
from kbsync.research.shards import SHARDS
from kbsync.research.stopwatch import SEARCH

COMMAND = "kbsync bench refinement"
SIZES = (300, 1000)
REFINED = "refined"
"""The line of the recipe itself."""
SHARDED = "shards"
"""The closed form, with the facts divided among the layers."""
EXTENT = Extent(cases=200, answer_tokens=5)
MOST_RATIO = 1.0
"""The demand on ``seconds_ratio``."""


def ways(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """From the closed form alone to the whole recipe, and what lies beside it, each with its name."""
    closed = replace(recipe, refine_epochs=0, refine_frames=False)
    yield "closed-form", closed
    for factor, times in (("fourfold", 4), ("sixteenfold", 16)):
        yield f"closed-form-{factor}", replace(closed, covariance_weight=times * recipe.covariance_weight)
    yield "unheld", replace(recipe, refine_preserved=0.0, refine_text=0.0)
    yield "text-held", replace(recipe, refine_preserved=0.0)
    yield "prompts-held", replace(recipe, refine_text=0.0)
    yield REFINED, recipe
    yield (
        "held-twice",
        replace(recipe, refine_preserved=2 * recipe.refine_preserved, refine_text=2 * recipe.refine_text),
    )


def places(recipe: Recipe) -> Iterator[tuple[str, Recipe]]:
    """Other places for the change, each with its name: the first and the last layer alone, where there are more, and
    ``SHARDED``, which :class:`~kbsync.research.shards.ShardedEditor` must write."""
    closed = replace(recipe, refine_epochs=0, refine_frames=False)
    if len(recipe.layers) > SHARDS:
        outer = (recipe.layers[0], recipe.layers[-1])
        yield "closed-form-first-and-last", replace(closed, layers=outer)
        yield "first-and-last", replace(recipe, layers=outer)
    if len(recipe.layers) >= SHARDS:
        yield SHARDED, closed


def run_refinement(
    bench: Bench,
    data: Data,
    lines: Sequence[Algorithm],
    *,
    sizes: Iterable[int] = SIZES,
    extent: Extent = EXTENT,
) -> dict[str, Any]:
    """Measure every line at every size; returns the evidence document.

    Args:
        bench: Should have held-out texts.
        data: CounterFact cases.
        lines: One for each of ``ways`` and ``places`` under its name, and others beside them.
        sizes: Numbers of edits. A size includes the smaller ones' cases, whose target vectors are used again.
        extent: How much is measured.

    Raises:
        DataError: The data can't be read or is too small.
        EditError: An edit fails.
        Stopped: A stop was asked for; raised between two parts. What is finished is kept.
    """
    document = run_lines(bench, data, lines, sorted(set(sizes)), extent, (), COMMAND)
    searching_here = {name for name, _ in ways(lines[0].recipe)}
    cells = [cell for cell in document["results"] if cell["algorithm"] in searching_here]
    document["figures"] += [asdict(figure) for figure in _time(cells)]
    return document


def _time(cells: Sequence[Mapping[str, Any]]) -> Iterator[Figure]:
    """``seconds_ratio``: the refinement of the largest edit, in units of the search for its target vectors.

    The vectors are searched in the first line that needs them, at this size or a smaller one, so all searches of
    ``cells`` count. An earlier run may have searched some of them. Each fact is searched for itself, so what the others
    took stands for all of them, unless they are fewer than half: then there is no ratio.
    """
    edited = [cell for cell in cells if cell["edit"] is not None]
    steps = [(cell, dict(cell["edit"].get("steps", {}))) for cell in edited]
    searched = sum(taken.get(SEARCH, 0.0) for _, taken in steps)
    refined = [taken[REFINEMENT] for cell, taken in steps if cell["algorithm"] == REFINED and REFINEMENT in taken]
    fresh = sum(cell["edits"] - cell["edit"].get("targets_reused", cell["edits"]) for cell in edited)
    facts = max(cell["edits"] for cell in edited)
    if searched and refined and 2 * fresh >= facts:
        of_all = searched * facts / min(fresh, facts)
        yield Figure("search_seconds", of_all, "processor seconds")
        yield Figure("refinement_seconds", refined[-1], "processor seconds")
        yield at_most("seconds_ratio", refined[-1] / of_all, "times", MOST_RATIO)
