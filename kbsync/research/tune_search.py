"""The search for a new model's hyperparameters: one at a time, on development cases; checked once on others.

λ, the layers, the learning rate and the clamp can't be taken over from another model. A full grid would search target
vectors for every combination. λ alone needs no new target vectors, so it is searched first and refined last. Each of
the others is tried with the best λ so far.
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
    """The values that are tried. The search begins with the first of ``layers``, ``learning_rates`` and ``clamps``."""

    layers: tuple[tuple[int, ...], ...]
    lambdas: tuple[float, ...] = LAMBDAS
    learning_rates: tuple[float, ...] = (0.1, 0.3, 0.03)
    clamps: tuple[float, ...] = (0.75, 0.5, 1.0)

    @property
    def trials(self) -> int:
        """The most recipes that are measured."""
        return len(self.lambdas) + len(self.layers) + len(self.learning_rates) + len(self.clamps) - 3 + 2


@dataclass(frozen=True, slots=True)
class Trial:
    """A recipe that was measured."""

    recipe: Recipe
    figures: dict[str, float]
    """By name."""
    sound: bool
    """Whether the perplexity grew by no more than is allowed."""

    @property
    def rank(self) -> tuple[bool, float, float]:
        """What the search maximises: soundness, the editing score to three digits, then the strict efficacy."""
        return self.sound, round(self.figures["score"], 3), self.figures["efficacy_strict"]


@dataclass(slots=True)
class Search:
    """A search and what it has measured so far. Every recipe is measured once."""

    measure: Callable[[Recipe], Trial]
    trials: list[Trial] = field(default_factory=list)
    """In their order."""

    def run(self, start: Recipe, space: Space) -> Trial:
        """Search from ``start``; returns the best trial, the first of several that are equal."""
        first = replace(start, layers=space.layers[0], learning_rate=space.learning_rates[0], clamp=space.clamps[0])
        best = self._best(replace(first, covariance_weight=value) for value in space.lambdas)
        for name in ("layers", "learning_rate", "clamp"):
            values: Sequence[Any] = getattr(space, name if name == "layers" else f"{name}s")
            best = self._best(replace(best.recipe, **{name: value}) for value in values)
        weight = best.recipe.covariance_weight
        finer = (weight, round(weight * REFINEMENT, 6), round(weight / REFINEMENT, 6))
        return self._best(replace(best.recipe, covariance_weight=value) for value in finer)

    def _best(self, recipes: Iterator[Recipe]) -> Trial:
        trials = [self._trial(recipe) for recipe in recipes]
        return max(trials, key=lambda trial: trial.rank)

    def _trial(self, recipe: Recipe) -> Trial:
        trial = next((t for t in self.trials if t.recipe.fingerprint == recipe.fingerprint), None)
        if trial is None:
            trial = self.measure(recipe)
            self.trials.append(trial)
        return trial


def windows(count: int, width: int = 5) -> tuple[tuple[int, ...], ...]:
    """Runs of ``width`` layers that begin at a sixth, a tenth and a third of a model with ``count`` layers.

    Causal tracing of published models finds the facts' MLPs in the first half (MEMIT, figure 3).
    """
    width = min(width, max(1, count - 2))
    starts = [min(max(1, round(count * share)), count - 1 - width) for share in (1 / 6, 1 / 10, 1 / 3)]
    return tuple(dict.fromkeys(tuple(range(s, s + width)) for s in (max(0, s) for s in starts)))


class Measurement:
    """Measures recipes on cases by a grid that keeps its parts, so that a killed search goes on where it stopped."""

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
    """A cell's figures by name, with the growth of the perplexity and the bounds of the score."""
    values = {name: estimate.value for name, estimate in sorted(cell.estimates.items())}
    values |= {"score_low": cell.estimates["score"].low, "score_high": cell.estimates["score"].high}
    if cell.perplexity is not None and base.perplexity is not None:
        values["perplexity_growth"] = cell.perplexity / base.perplexity - 1
    return values
