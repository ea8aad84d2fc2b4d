"""Hyperparameters of a new model: coordinate by coordinate on development cases, checked once on others.

λ, the layers, the step and the clamp don't travel between models. A whole grid would search target vectors for every
corner of it; λ alone needs no new target vectors, so it is searched first and refined last, and each of the others is
tried with the best λ so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kbsync.domain.recipe import Recipe
from kbsync.research.cases import Case
from kbsync.research.grid import Algorithm, Bench, Cell, Grid, Suite

LAMBDAS = (1.5, 15.0, 150.0, 1500.0, 15000.0)
REFINEMENT = 10**0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """The values that are tried; the first of ``layers``, ``learning_rates`` and ``clamps`` is where the search
    begins."""

    layers: tuple[tuple[int, ...], ...]
    lambdas: tuple[float, ...] = LAMBDAS
    learning_rates: tuple[float, ...] = (0.1, 0.3, 0.03)
    clamps: tuple[float, ...] = (0.75, 0.5, 1.0)

    @property
    def trials(self) -> int:
        """At most so many measurements."""
        return len(self.lambdas) + len(self.layers) + len(self.learning_rates) + len(self.clamps) - 3 + 2


@dataclass(frozen=True, slots=True)
class Trial:
    """One recipe, measured: ``figures`` by name. ``sound``: perplexity grew by no more than is allowed."""

    recipe: Recipe
    figures: dict[str, float]
    sound: bool

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What the search maximises: soundness, the editing score to three digits, then the strict efficacy."""
        return self.sound, round(self.figures["score"], 3), self.figures["efficacy_strict"]


@dataclass(slots=True)
class Search:
    """``trials`` in their order; a recipe is measured once."""

    measure: Callable[[Recipe], Trial]
    trials: list[Trial] = field(default_factory=list)

    def run(self, start: Recipe, space: Space) -> Trial:
        """The best trial; of equals the first."""
        first = replace(start, layers=space.layers[0], learning_rate=space.learning_rates[0], clamp=space.clamps[0])
        best = self._best(replace(first, covariance_weight=value) for value in space.lambdas)
        for name in ("layers", "learning_rate", "clamp"):
            values: Sequence[Any] = getattr(space, name if name == "layers" else f"{name}s")
            best = self._best(replace(best.recipe, **{name: value}) for value in values)
        weight = best.recipe.covariance_weight
        finer = (weight, round(weight * REFINEMENT, 6), round(weight / REFINEMENT, 6))
        return self._best(replace(best.recipe, covariance_weight=value) for value in finer)

    def _best(self, recipes: Iterator[Recipe]) -> Trial:
        found = [self._trial(recipe) for recipe in recipes]
        return max(found, key=lambda trial: trial.rank)

    def _trial(self, recipe: Recipe) -> Trial:
        known = next((t for t in self.trials if t.recipe.fingerprint == recipe.fingerprint), None)
        if known is None:
            known = self.measure(recipe)
            self.trials.append(known)
        return known


def windows(count: int, width: int = 5) -> tuple[tuple[int, ...], ...]:
    """Runs of ``width`` layers that begin at a sixth, a tenth and a third of a model with ``count`` layers.

    Causal tracing of published models finds the facts' MLPs in the first half (MEMIT, figure 3).
    """
    width = min(width, max(1, count - 2))
    starts = [min(max(1, round(count * share)), count - 1 - width) for share in (1 / 6, 1 / 10, 1 / 3)]
    return tuple(dict.fromkeys(tuple(range(s, s + width)) for s in (max(0, s) for s in starts)))


class Measurement:
    """Measures recipes on cases through a grid, whose parts are kept: a killed search goes on where it stopped."""

    def __init__(
        self,
        bench: Bench,
        suite: Suite,
        cases: Sequence[Case],
        line: Callable[[Recipe], Algorithm],
        growth: float,
    ) -> None:
        self._grid = Grid(bench, suite)
        self._cases, self._line, self._growth = cases, line, growth

    def __call__(self, recipe: Recipe) -> Trial:
        base, cell = self._grid.cells(self._cases, [self._line(recipe)], [len(self._cases)])
        return Trial(recipe, figures(cell, base), self._sound(cell, base))

    def base(self) -> dict[str, float]:
        """The unedited model's figures."""
        (base,) = self._grid.cells(self._cases, [], [len(self._cases)])
        return figures(base, base)

    def _sound(self, cell: Cell, base: Cell) -> bool:
        if cell.perplexity is None or base.perplexity is None:
            return True
        return cell.perplexity <= base.perplexity * (1 + self._growth)


def figures(cell: Cell, base: Cell) -> dict[str, float]:
    """A cell's figures by name, with ``perplexity_growth`` over the base and the bounds of the score."""
    found = {name: estimate.value for name, estimate in sorted(cell.estimates.items())}
    found |= {"score_low": cell.estimates["score"].low, "score_high": cell.estimates["score"].high}
    if cell.perplexity is not None and base.perplexity is not None:
        found["perplexity_growth"] = cell.perplexity / base.perplexity - 1
    return found
