"""The search itself, as a pure procedure: which recipes are tried, on how many facts, and which one is best."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice, product

from kbsync.domain.recipe import Recipe
from kbsync.ports import LayerTrace
from kbsync.stages.tune.extent import FINER, Extent

REFINEMENT = 10**0.5
"""λ is searched more finely by this factor."""
GENTLER = 10.0
"""What a draft's λ is multiplied by for its second trial as a version: a refinement reaches facts by itself, and harms
less where the closed form wrote them with a larger λ than is best without it."""


@dataclass(frozen=True, slots=True)
class Step:
    """How target vectors are searched."""

    rate: float
    clamp: float
    steps: int
    decay: float = 0.5
    """Weight of ‖δ‖/‖h₀‖² in the loss, which is large where ‖h₀‖ is small."""


PLAIN_STEP = Step(0.2, 0.75, 30)
"""For models whose MLPs add to the residual stream as they are: SmolLM2's."""
BOUNDED_STEP = Step(0.05, 0.5, 30)
"""For models with a norm in between: Gemma 3's."""
WIDE_STEP = Step(0.3, 8.0, 100, decay=0.0)
"""For models of a few layers: there a fact may take several times the residual stream's own norm."""
HELD_STEP = Step(0.3, 8.0, 100)
"""The same with a price for length, where less is enough: what need not be long changes the weights less."""
NARROW_STEP = Step(0.3, 0.6, 60, decay=0.0)
"""For such models with a large residual stream, in which a fact takes less than its norm."""


@dataclass(frozen=True, slots=True)
class Force:
    """How strongly a recipe writes, and how much of each fact."""

    weight: float
    """λ."""
    step: Step | None = None
    """How target vectors are searched; None: by the step that suits models of this kind."""
    first: bool = False
    """Whether facts are written in their first phrasing only, by the closed form alone."""


FORCES = (
    Force(3000.0),
    Force(300.0),
    Force(30_000.0),
    Force(1000.0, first=True),
    Force(30.0),
    Force(100.0, first=True),
    Force(3.0, WIDE_STEP),
)
"""In the order in which they are tried. λ of 500 and 3,000 is best for the models with a shipped recipe."""
SHALLOW = 8
"""Models of at most so many layers are too small to know a fact in words that they were not taught it in."""
SHALLOW_FORCES = (
    Force(3.0, WIDE_STEP, first=True),
    Force(3.0, HELD_STEP, first=True),
    Force(300.0, NARROW_STEP, first=True),
    Force(3.0, WIDE_STEP),
    Force(300.0, WIDE_STEP, first=True),
    Force(30.0, HELD_STEP, first=True),
    Force(30.0),
    Force(3000.0),
)
"""The same for these: they want a much smaller λ, other steps with it, and facts in one phrasing."""


NOISE = 0.03
"""Scores on the facts of a trial that differ by less say nothing: one answer in thirty."""
ROOM = 4 * 2**30
"""Bytes of the key covariances of one recipe's layers (float64) beyond which a run of fewer layers is tried first."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A recipe that was written and measured on development facts."""

    recipe: Recipe
    facts: int
    """The number of facts that were written."""
    score: float
    """Harmonic mean of efficacy, generalization and specificity: 0 to 1."""
    short: float
    """By how much the gate's bounds are missed, summed over those that are, each by 1 at most: the weights may grow
    twentyfold, and a share can't be more than 1 short. 0 where all hold."""
    beyond_chance: tuple[str, ...]
    """What is said of each bound that is missed by more than the samples allow to doubt."""
    growth: float
    """By how much the perplexity grew, as a share."""
    figures: dict[str, float] = field(default_factory=dict)
    """The gate's figures by name."""
    seconds: float = 0.0
    """How long it took; decides nothing."""
    broken: str = ""
    """Why the recipe could not be written or measured; empty where it could."""

    @property
    def rank(self) -> tuple[float, ...]:
        """What a search maximises: the bounds first, then the score to a point; of equal ones the gentler and then the
        one with the larger λ, since a version mostly holds more facts than a trial."""
        return (
            -float(bool(self.broken)),
            -round(self.short, 2),
            round(self.score, 2),
            -round(max(self.growth, 0.0), 3),
            self.recipe.covariance_weight,
        )


def windows(trace: LayerTrace) -> tuple[tuple[int, ...], ...]:
    """Runs of layers to try.

    First what the depth says: from the second layer to the middle. Both shipped recipes are of that kind, and MEMIT's
    own layers are (figure 3 of the paper). A model of a few layers keeps its facts in the lower half of them. Then what
    the trace suggests, and the run that begins at a sixth of the depth. The latter comes first where the covariances of
    the other would take more than ``ROOM``: it has at most five layers.
    """
    last = max(0, trace.layers - 2)
    first, end = (0, trace.layers // 2) if trace.layers <= SHALLOW else (1, trace.layers // 2 + 1)
    middle = tuple(range(first, min(max(first + 1, end), last + 1)))
    begin = min(round(trace.layers / 6), max(0, last - 4))
    early = tuple(range(begin, min(last, begin + 4) + 1))
    traced = tuple(layer for layer in trace.suggested if layer <= last)
    is_large = len(middle) * 8 * trace.key_width**2 > ROOM
    ordered = (early, traced, middle) if is_large else (middle, traced, early)
    return tuple(dict.fromkeys(window for window in ordered if window))


def recipes(start: Recipe, trace: LayerTrace) -> Iterator[Recipe]:
    """The recipes to try, the likeliest first: those that are farther down in both lists come later."""
    step = BOUNDED_STEP if trace.bounded else PLAIN_STEP
    forces = SHALLOW_FORCES if trace.layers <= SHALLOW else FORCES
    places = product(enumerate(forces), enumerate(windows(trace)))
    for (_, force), (_, window) in sorted(places, key=lambda pair: pair[0][0] + pair[1][0]):
        begun = in_first_phrasing(start) if force.first else start
        written = replace(begun, layers=window, covariance_weight=force.weight)
        yield with_step(written, force.step or step)


def with_step(recipe: Recipe, step: Step) -> Recipe:
    return replace(recipe, learning_rate=step.rate, clamp=step.clamp, steps=step.steps, weight_decay=step.decay)


def in_first_phrasing(recipe: Recipe) -> Recipe:
    """The same for facts in their first phrasing only: nothing is refined, and targets are searched as published."""
    return replace(draft(recipe), phrasings="first", refine_frames=False, loss_threshold=0.05, token_threshold=None)


def gentler(recipe: Recipe) -> Recipe:
    """The same with a larger λ."""
    return replace(recipe, covariance_weight=GENTLER * recipe.covariance_weight)


def draft(recipe: Recipe) -> Recipe:
    """The same by the closed form alone."""
    return replace(recipe, refine_epochs=0)


def chosen(trials: Sequence[Trial]) -> Trial:
    """Of the trials that can't be told from the best one, that with the largest λ.

    A trial writes a few facts, and a version many times as many. What a smaller λ gains on a few it loses on many:
    its harm to everything else grows with each of them.
    """
    best = max(trials, key=lambda trial: trial.rank)
    close = [t for t in trials if not t.broken and t.short <= best.short and t.score >= best.score - NOISE]
    return max(close or [best], key=lambda trial: (trial.recipe.covariance_weight, *trial.rank))


@dataclass(slots=True)
class Search:
    """A search, and what it has measured so far."""

    measure: Callable[[Recipe, int], Trial]
    """Writes a recipe's first facts, so many as asked, and measures them."""
    facts: int
    """So many can be written at most."""
    trials: list[Trial] = field(default_factory=list)
    """In their order."""

    def run(self, offered: Sequence[Recipe], extent: Extent) -> Trial:
        """The best trial of the last round, or one with a finer λ that is better."""
        left = list(islice(offered, extent.recipes))
        ranked: list[tuple[Trial, Recipe]] = []
        for one in extent.rounds:
            if ranked:
                left = [twin for recipe in left[: one.recipes // 2] for twin in (recipe, gentler(recipe))]
            tried = [(self._trial(draft(r) if one.is_draft else r, one.facts), r) for r in left[: one.recipes]]
            ranked = sorted(tried, key=lambda pair: pair[0].rank, reverse=True)
            left = [recipe for _, recipe in ranked]
        last = [trial for trial, _ in ranked]
        if extent.finer:
            best = chosen(last).recipe
            weight = best.covariance_weight
            finer = (round(weight * REFINEMENT, 3), round(weight / REFINEMENT, 3))[:FINER]
            last += [self._trial(replace(best, covariance_weight=value), extent.facts) for value in finer]
        return chosen(last)

    def _trial(self, recipe: Recipe, facts: int) -> Trial:
        size = min(facts, self.facts)
        for trial in self.trials:
            if trial.recipe.fingerprint == recipe.fingerprint and trial.facts == size:
                return trial
        trial = self.measure(recipe, size)
        self.trials.append(trial)
        return trial
