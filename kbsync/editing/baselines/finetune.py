"""Constrained fine-tuning with weight decay (FT+W): the baseline that knows nothing of keys and values.

Adam on the down projections of the recipe's layers; the loss is the mean NLL of the targets after the bare prompts.
Weight decay is as in MEMIT's comparison (Meng et al., ICLR 2023, appendix B.1), and no entry may move further than a
bound (Zhu et al., 2020: the L∞ ball around the base).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.editing.baselines.whole_change import WholeChanges
from kbsync.editing.common.prompts import TokenisedRewrite
from kbsync.editing.common.target_positions import TargetPositions, target_positions
from kbsync.editing.common.vocabulary_head import VocabularyHead
from kbsync.editing.editor import AlgorithmResult, EditJob, TorchEditor, survivors
from kbsync.model.decoder import Decoder
from kbsync.model.suffix import Suffixes, prepare_suffixes

NOT_FINITE = "the loss of its target is not finite"


class FinetuneEditor(TorchEditor):
    """There are no target vectors, no covariance, and no place for preserved keys."""

    def _write(self, job: EditJob) -> AlgorithmResult:
        training = _Training(self._decoder, job)
        losses = training.losses(job.rewrites)
        failed = {i: NOT_FINITE for i, loss in losses.items() if not torch.isfinite(torch.tensor(loss))}
        rewrites = survivors(job.rewrites, failed)
        final_losses = training.run(rewrites)
        delta, reports = training.changes.result()
        return AlgorithmResult(
            delta=delta,
            layers=reports,
            losses=final_losses,
            targets={},
            failed=failed,
            reused=0,
            covariance="",
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Facts from the lowest edited layer on; what lies below never changes."""

    ids: tuple[str, ...]
    """The rewrites' ids."""
    suffixes: Suffixes
    positions: TargetPositions
    """Where the losses are read, on the CPU."""
    placed: TargetPositions
    """The same on the model's device."""


class _Training:
    """The training of the edited layers' changes."""

    def __init__(self, decoder: Decoder, job: EditJob) -> None:
        self._decoder, self._job = decoder, job
        self._head = VocabularyHead(decoder)
        self.changes = WholeChanges(decoder, job.layers, job.recipe)

    def losses(self, rewrites: Sequence[TokenisedRewrite]) -> dict[str, float]:
        """NLL of each fact, in nats, with the changes as they are now."""
        losses: dict[str, float] = {}
        with torch.no_grad(), self.changes.in_place():
            for batch in self._batches(rewrites):
                losses |= self._loss(batch)[0]
        return losses

    def run(self, rewrites: Sequence[TokenisedRewrite]) -> dict[str, float]:
        """``steps`` passes over all facts, or fewer where the mean loss falls under the threshold.

        Returns:
            The losses at the end, in nats.

        Raises:
            EditError: The training diverges.
        """
        recipe, work = self._job.recipe, self._job.work
        batches = list(self._batches(rewrites))
        adam = self.changes.adam(recipe.learning_rate)
        work.start("fine-tuning", recipe.steps)
        for _ in range(recipe.steps):
            mean = sum(self._update(batch, adam) * len(batch.ids) for batch in batches) / len(rewrites)
            if not self.changes.are_finite or mean != mean:
                raise EditError("Fine-tuning diverged.", next_step="Lower the recipe's learning_rate or its clamp.")
            work.advance()
            if mean < recipe.loss_threshold:
                break
        work.finish()
        return self.losses(rewrites)

    def _update(self, batch: _Batch, adam: torch.optim.Optimizer) -> float:
        """One step of Adam, then the bound. Returns the batch's mean loss before the step."""
        with torch.enable_grad(), self.changes.in_place():
            losses, states, by_states = self._loss(batch)
            changes = list(self.changes.by_layer.values())
            gradients = torch.autograd.grad([states], changes, [by_states / len(batch.ids)])
        with torch.no_grad():
            for layer, change, gradient in zip(self._job.layers, changes, gradients, strict=True):
                weight = layer.down.weight.to(change.dtype) + change
                change.grad = gradient + self._job.recipe.weight_decay * weight
            adam.step()
            for layer in self._job.layers:
                bound = self._job.recipe.clamp * self.changes.units[layer.index]
                self.changes.by_layer[layer.index].clamp_(-bound, bound)
        return sum(losses.values()) / len(losses)

    def _loss(self, batch: _Batch) -> tuple[dict[str, float], Tensor, Tensor]:
        """Loss by fact; the states (n, d) before the n target tokens; the gradient (n, d) of the summed loss by
        them."""
        normed = batch.suffixes.run(batch.suffixes.hidden)
        at, placed = batch.positions, batch.placed
        states = normed[placed.row, placed.column]
        nll, by_states = self._head.nll(states.detach(), placed.token, placed.weight)
        weighted = nll.cpu().double() * at.weight
        losses = torch.zeros(len(batch.ids), dtype=torch.float64).index_add_(0, at.fact, weighted)
        return dict(zip(batch.ids, losses.tolist(), strict=True)), states, by_states

    def _batches(self, rewrites: Sequence[TokenisedRewrite]) -> Iterator[_Batch]:
        first, size = self._job.layers[0].index, self._job.recipe.batch
        for begin in range(0, len(rewrites), size):
            some = rewrites[begin : begin + size]
            suffixes = prepare_suffixes(self._decoder, [(r.bare.ids[:-1], 0) for r in some], first)
            positions = target_positions([[r.bare] for r in some], from_lookup=False)
            yield _Batch(tuple(r.id for r in some), suffixes, positions, positions.to(suffixes.hidden.device))
