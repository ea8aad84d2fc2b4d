"""Joint refinement: after the closed form, all edited layers are adjusted together by what the model finally says.

The closed form fits each layer's outputs at the subject's last token. It does not see what other layers make of them,
nor what a change does at other tokens. So Δ = L R is taken as a beginning: R stays, and L is trained on

    Σ −log p(target | prompt)  +  β · KL at preserved prompts  +  τ · KL on ordinary text,

over the prompts that are not answered yet: with the weights as they are, and in each form of ``refine_as`` with the
weights as that form rounds them. In all of them the base's unrounded weights say what is preserved. R is whitened by
the key covariance, R C Rᵀ = I, so that a step of a given length disturbs ordinary text equally in all directions:
‖L‖² = tr(Δ C Δᵀ), the penalty of MEMIT's equation 14. This is not part of published MEMIT (ADR 0020, ADR 0027).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

import structlog
import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import Prompt
from kbsync.editing.memit.distributions import Expected, kl_to, target_nll
from kbsync.editing.memit.kept_passes import FinishedPass, KeptPasses
from kbsync.editing.memit.served_views import Factors, View, practised_views
from kbsync.model.decoder import Decoder, DecoderLayer
from kbsync.model.delta import FactorDelta
from kbsync.ports import Work

REFINEMENT = "refinement"
"""The step of an edit that trains L, as it is shown."""
BETAS, EPSILON = (0.9, 0.95), 1e-8
"""Adam's constants; the second is short because there are few steps."""
LAST_RATE = 0.2
"""The step's length falls evenly over the passes, towards this share of the first."""
PROMPTS_PER_TEXT = 4
"""Preserved prompts in a step for each stretch of text in it."""
CHECK_ROWS = 64
"""Prompts in one pass that only looks at what is answered."""


Row = TypeVar("Row", Prompt, Expected)
Keeping = Callable[[FactorDelta, Sequence[Sequence[Prompt]]], KeptPasses | None]


def whitened(left: Tensor, right: Tensor, covariance: Tensor, rank: int) -> Factors:
    """Factors of (nearly) the same product whose right one is whitened.

    Args:
        left: (out, r).
        right: (r, m).
        covariance: C (m, m).
        rank: Largest number of directions that are kept, those in which Δ disturbs ordinary text most: the best
            approximation of Δ by that rank in the norm tr(Δ C Δᵀ). 0: all.
    """
    L, R = left.double(), right.double()
    gram = R @ covariance.double() @ R.T
    values, vectors = torch.linalg.eigh((gram + gram.T) / 2)
    kept = values > values[-1] * 1e-12
    root = values[kept].sqrt()
    L, R = L @ (vectors[:, kept] * root), (vectors[:, kept] / root).T @ R
    U, S, Vh = torch.linalg.svd(L, full_matrices=False)
    size = len(S) if rank == 0 else min(rank, len(S))
    return Factors((U[:, :size] * S[:size]).float().contiguous(), (Vh[:size] @ R).float().contiguous())


class Refinement:
    """Trains the left factors of a change."""

    def __init__(
        self,
        decoder: Decoder,
        layers: Sequence[DecoderLayer],
        covariances: Mapping[int, Tensor],
        recipe: Recipe,
        work: Work,
    ) -> None:
        """``covariances``: C by layer index."""
        self._decoder, self._layers, self._covariances = decoder, tuple(layers), covariances
        self._recipe, self._work = recipe, work

    def run(
        self,
        delta: FactorDelta,
        prompts: Sequence[Prompt],
        preserved: Sequence[Expected],
        ordinary: Sequence[Expected],
        practised: Sequence[Prompt] = (),
        keeping: Keeping = lambda _delta, _rows: None,
    ) -> FactorDelta:
        """Refine ``delta``. The model must be frozen and hold the base's weights.

        Args:
            prompts: What must be answered with its target.
            preserved: Prompts with the base's own answer as target, and what the base says before its tokens, which
                stays.
            ordinary: Ordinary text, and what the base says there, which stays at every token that is looked at.
            practised: The same targets after other prompts. Where there are any, each pass but the last draws as many
                prompts as there are written ones from both together; the last one is over the written ones.
            keeping: Given the change and all prompts and texts, says where finished passes are kept. By default they
                are not.

        Returns:
            A change of at most the recipe's rank. Where all prompts are answered, it is ``delta`` in other factors.
        """
        recipe, decoder, log = self._recipe, self._decoder, structlog.get_logger(__name__)
        factors = self._factors(delta)
        optimiser = _Adam(factors, recipe.refine_rate)
        written, pool = _ordered(prompts), _ordered([*prompts, *practised])
        views = practised_views(decoder.model, self._layers, recipe.refine_as)
        rows = [prompts, practised, [row.prompt for row in preserved], [row.prompt for row in ordinary]]
        passes = keeping(delta, rows)
        last = None if passes is None else passes.last(recipe.refine_epochs)
        draw = random.Random(recipe.seed) if last is None else last.draw
        done = 0 if last is None else last.number
        if last is not None:
            optimiser.go_on(last)
        held = max(1, round(recipe.refine_held * recipe.refine_batch))
        self._work.start(REFINEMENT, recipe.refine_epochs)
        self._work.advance(done)
        count = 0
        for epoch in range(done, recipe.refine_epochs):
            is_last = epoch == recipe.refine_epochs - 1
            drawn = written if is_last else some_of(draw, pool, len(written))
            optimiser.share = 1 - (1 - LAST_RATE) * epoch / recipe.refine_epochs
            steps = self._steps(drawn, views, factors, draw)
            count = sum(len(batch) for _, batch in steps)
            log.info("pass of the refinement", number=epoch + 1, unanswered=count, of=len(drawn) * len(views))
            for view, some in steps:
                self._work.checkpoint()
                batch = _ordered(some)
                beside = some_of(draw, preserved, held), some_of(draw, ordinary, max(1, held // PROMPTS_PER_TEXT))
                with view.in_place(factors):
                    gradients = self._gradients(factors, batch, *beside)
                optimiser.step(gradients)
            if passes is not None:
                passes.drop(epoch) if is_last else passes.put(optimiser.after(epoch + 1, draw))
            self._work.advance()
        asked = len(written) * len(views)
        self._work.finish(f"{count} of {asked} prompts were not answered before the last pass")
        return FactorDelta({name: (f.left.detach().clone().cpu(), f.right.cpu()) for name, f in factors.items()})

    def _steps(
        self, drawn: Sequence[Prompt], views: Sequence[View], factors: Mapping[str, Factors], draw: random.Random
    ) -> list[tuple[View, list[Prompt]]]:
        """What a pass over ``drawn`` trains: batches of the prompts that are not answered, in each form's weights."""
        size, steps = self._recipe.refine_batch, []
        for view in views:
            with view.in_place(factors):
                unanswered = self._unanswered(drawn)
            draw.shuffle(unanswered)
            steps += [(view, unanswered[begin : begin + size]) for begin in range(0, len(unanswered), size)]
        if len(views) > 1:
            draw.shuffle(steps)  # so that no form has the last word
        return steps

    def _factors(self, delta: FactorDelta) -> dict[str, Factors]:
        rank = self._recipe.rank
        return {
            layer.down.name: whitened(*delta.factors[layer.down.name], self._covariances[layer.index], rank).to(
                layer.down.weight.device
            )
            for layer in self._layers
        }

    @torch.no_grad()
    def _unanswered(self, rows: Sequence[Prompt]) -> list[Prompt]:
        """Those of the prompts with a target token that costs the recipe's ``refine_threshold`` or more."""
        found = []
        for begin in range(0, len(rows), CHECK_ROWS):
            some = rows[begin : begin + CHECK_ROWS]
            largest = target_nll(self._decoder, some).largest
            unanswered = (largest >= self._recipe.refine_threshold).tolist()
            found += [prompt for prompt, is_it in zip(some, unanswered, strict=True) if is_it]
        return found

    def _gradients(
        self,
        factors: Mapping[str, Factors],
        batch: Sequence[Prompt],
        preserved: Sequence[Expected],
        texts: Sequence[Expected],
    ) -> list[Tensor]:
        """Gradient of the loss of one step by each L, in the order of ``factors``."""
        recipe, lefts = self._recipe, [f.left for f in factors.values()]
        with torch.enable_grad():
            total = [torch.autograd.grad(target_nll(self._decoder, batch).mean.mean(), lefts)]
            for weight, rows in ((recipe.refine_preserved, preserved), (recipe.refine_text, texts)):
                if weight and rows:
                    total.append(torch.autograd.grad(weight * kl_to(self._decoder, rows), lefts))
        return [torch.stack(parts).sum(dim=0) for parts in zip(*total, strict=True)]


class _Adam:
    """Adam on all left factors; a step's length is in units of each factor's root mean square at the beginning."""

    def __init__(self, factors: Mapping[str, Factors], rate: float) -> None:
        self._lefts = [f.left.requires_grad_() for f in factors.values()]
        self._rates = [rate * float(left.detach().pow(2).mean().sqrt()) for left in self._lefts]
        self._mean = [torch.zeros_like(left) for left in self._lefts]
        self._square = [torch.zeros_like(left) for left in self._lefts]
        self._steps = 0
        self.share = 1.0  # of the first step's length

    def after(self, number: int, draw: random.Random) -> FinishedPass:
        """What is kept after the pass ``number``."""
        return FinishedPass(number, self._lefts, self._mean, self._square, self._steps, draw)

    @torch.no_grad()
    def go_on(self, last: FinishedPass) -> None:
        """Go on after a pass that was kept."""
        self._steps = last.steps
        parts = ((self._lefts, last.lefts), (self._mean, last.means), (self._square, last.squares))
        for mine, kept in parts:
            for tensor, value in zip(mine, kept, strict=True):
                tensor.copy_(value)

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> None:
        self._steps += 1
        corrections = [1 - beta**self._steps for beta in BETAS]
        for left, rate, mean, square, gradient in zip(
            self._lefts, self._rates, self._mean, self._square, gradients, strict=True
        ):
            mean.lerp_(gradient, 1 - BETAS[0])
            square.lerp_(gradient**2, 1 - BETAS[1])
            left -= self.share * rate * (mean / corrections[0]) / ((square / corrections[1]).sqrt() + EPSILON)


def some_of(draw: random.Random, rows: Sequence[Row], count: int) -> list[Row]:
    """At most ``count`` of the rows, drawn, in their order."""
    return [rows[n] for n in sorted(draw.sample(range(len(rows)), min(count, len(rows))))]


def _ordered(prompts: Iterable[Prompt]) -> list[Prompt]:
    """By length, so that prompts in one pass need little padding, and by content, so that no other order matters."""
    return sorted(prompts, key=lambda prompt: (len(prompt.ids), prompt.ids))
