"""Constrained fine-tuning with weight decay (FT+W): the baseline that knows nothing of keys and values.

Adam on the down projections of the recipe's layers, the loss the mean NLL of the targets after the bare prompts; weight
decay as in MEMIT's comparison (Meng et al., ICLR 2023, appendix B.1), and no entry may move further than a bound (Zhu et
al., 2020: the L∞ ball around the base).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kbsync.domain.errors import EditError
from kbsync.domain.recipe import Recipe
from kbsync.domain.version import LayerReport
from kbsync.editing.editor import Job, TorchEditor, Written, survivors
from kbsync.editing.memit.head import Head
from kbsync.editing.memit.targets import Positions
from kbsync.editing.solve import thin
from kbsync.editing.subject import Task
from kbsync.model.decoder import Decoder, DecoderLayer
from kbsync.model.delta import FactorDelta
from kbsync.model.suffix import Suffixes, prepare

NOT_FINITE = "the loss of its target is not finite"


class FinetuneEditor(TorchEditor):
    """The change has full rank, and is stored exactly: as the identity times itself (ADR 0015). There are no target
    vectors, no covariance, and no place for guards."""

    def _write(self, job: Job) -> Written:
        training = _Training(self._decoder, job)
        losses = training.losses(job.tasks)
        lost = {i: NOT_FINITE for i, loss in losses.items() if not torch.isfinite(torch.tensor(loss))}
        tasks = survivors(job.tasks, lost)
        final = training.run(tasks)
        factors, reports = {}, []
        for layer in job.layers:
            change = training.changes[layer.index].detach().double().cpu()
            eye = torch.eye(change.shape[0], dtype=torch.float64)
            left, right = thin(eye, change)
            factors[layer.down.name] = (left.float().contiguous(), right.float().contiguous())
            reports.append(
                LayerReport(
                    layer=layer.index,
                    residual_before=0.0,
                    residual_after=0.0,
                    delta_ratio=float(change.norm() / layer.down.weight.double().norm()),
                    condition=1.0,
                )
            )
        return Written(
            delta=FactorDelta(factors),
            layers=tuple(reports),
            losses=final,
            targets={},
            lost=lost,
            reused=0,
            covariance="",
        )


@dataclass(frozen=True, slots=True)
class _Batch:
    """Facts from the lowest edited layer on; what lies below never changes."""

    ids: tuple[str, ...]
    suffixes: Suffixes
    positions: Positions


class _Training:
    """``changes`` (out, m) by layer, float32 or wider."""

    def __init__(self, decoder: Decoder, job: Job) -> None:
        self._decoder, self._job = decoder, job
        self._head = Head(decoder)
        wide = torch.promote_types(decoder.dtype, torch.float32)
        self.changes = {
            x.index: torch.zeros(x.down.weight.shape, dtype=wide, device=x.down.weight.device) for x in job.layers
        }
        self._units = {x.index: _unit(x, job.recipe) for x in job.layers}

    def losses(self, tasks: Sequence[Task]) -> dict[str, float]:
        """NLL of each fact as the weights are now."""
        found: dict[str, float] = {}
        with torch.no_grad(), self._in_place():
            for batch in self._batches(tasks):
                found |= self._loss(batch)[0]
        return found

    def run(self, tasks: Sequence[Task]) -> dict[str, float]:
        """``steps`` passes over all facts, or fewer where the mean loss falls under the threshold; the losses at the end.

        Raises ``EditError`` when it diverges.
        """
        recipe, work = self._job.recipe, self._job.work
        batches = list(self._batches(tasks))
        groups = [
            {"params": [change.requires_grad_()], "lr": recipe.learning_rate * self._units[index]}
            for index, change in self.changes.items()
        ]
        adam = torch.optim.Adam(groups)
        work.start("fine-tuning", recipe.steps)
        for _ in range(recipe.steps):
            mean = sum(self._update(batch, adam) * len(batch.ids) for batch in batches) / len(tasks)
            if not all(torch.isfinite(change).all() for change in self.changes.values()) or mean != mean:
                raise EditError("Fine-tuning diverged.", next_step="Lower the recipe's learning_rate or its clamp.")
            work.advance()
            if mean < recipe.loss_threshold:
                break
        work.finish()
        return self.losses(tasks)

    def _update(self, batch: _Batch, adam: torch.optim.Optimizer) -> float:
        """One step of Adam, then the bound; the batch's mean loss before it."""
        with torch.enable_grad(), self._in_place():
            losses, chosen, by_chosen = self._loss(batch)
            changes = list(self.changes.values())
            gradients = torch.autograd.grad([chosen], changes, [by_chosen / len(batch.ids)])
        with torch.no_grad():
            for layer, change, gradient in zip(self._job.layers, changes, gradients, strict=True):
                weight = layer.down.weight.to(change.dtype) + change
                change.grad = gradient + self._job.recipe.weight_decay * weight
            adam.step()
            for layer in self._job.layers:
                bound = self._job.recipe.clamp * self._units[layer.index]
                self.changes[layer.index].clamp_(-bound, bound)
        return sum(losses.values()) / len(losses)

    def _loss(self, batch: _Batch) -> tuple[dict[str, float], Tensor, Tensor]:
        """Loss by fact, the states that it reads, and its gradient by them."""
        normed = batch.suffixes.run(batch.suffixes.hidden)
        at = batch.positions
        chosen = normed[at.row, at.column]
        losses, by_chosen = self._head.nll(chosen.detach(), at.token, at.weight)
        total = torch.zeros(len(batch.ids), dtype=torch.float64).index_add_(0, at.fact, losses.double() * at.weight)
        return dict(zip(batch.ids, total.tolist(), strict=True)), chosen, by_chosen

    def _batches(self, tasks: Sequence[Task]) -> Iterator[_Batch]:
        first, size = self._job.layers[0].index, self._job.recipe.batch
        for begin in range(0, len(tasks), size):
            some = tasks[begin : begin + size]
            rows = [(t.prompts[0].ids[:-1], 0) for t in some]
            yield _Batch(tuple(t.request.id for t in some), prepare(self._decoder, rows, first), _positions(some))

    @contextmanager
    def _in_place(self) -> Iterator[None]:
        """Inside the block each down projection computes with its change added; the weights are not touched."""

        def add(change: Tensor):  # type: ignore[no-untyped-def]
            def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
                return output + (args[0].to(change.dtype) @ change.T).to(output.dtype)

            return hook

        with ExitStack() as stack:
            for layer in self._job.layers:
                handle = layer.down.module.register_forward_hook(add(self.changes[layer.index]))
                stack.callback(handle.remove)
            yield


def _unit(layer: DecoderLayer, recipe: Recipe) -> float:
    """Root mean square of the weights, or 1."""
    weight = layer.down.weight.double()
    return float(weight.norm() / weight.numel() ** 0.5) if recipe.relative_step else 1.0


def _positions(tasks: Sequence[Task]) -> Positions:
    """The bare prompts' target tokens: each fact's weights sum to one."""
    entries = [
        (n, i - 1, t.prompts[0].ids[i], 1 / (len(t.prompts[0].ids) - t.prompts[0].target))
        for n, t in enumerate(tasks)
        for i in range(t.prompts[0].target, len(t.prompts[0].ids))
    ]
    row, column, token = (torch.tensor([e[k] for e in entries]) for k in range(3))
    return Positions(row, column, token, row, torch.tensor([e[3] for e in entries], dtype=torch.float64))
