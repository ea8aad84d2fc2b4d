"""Changes of whole matrices while they are trained; the model's own weights are not touched."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn

from kbsync.domain.recipe import Recipe
from kbsync.domain.version import LayerReport
from kbsync.editing.common.low_rank import compressed
from kbsync.model.decoder import Decoder, DecoderLayer
from kbsync.model.delta import FactorDelta


class WholeChanges:
    """One trained change Δ for each edited layer, 0 at the beginning."""

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer], recipe: Recipe) -> None:
        self._layers = tuple(layers)
        wide = torch.promote_types(decoder.dtype, torch.float32)
        self.by_layer = {
            x.index: torch.zeros(x.down.weight.shape, dtype=wide, device=x.down.weight.device) for x in layers
        }
        """Δ (out, m) by layer index, float32 or wider."""
        self.units = {x.index: _unit(x, recipe) for x in layers}
        """What a step's length, and a bound, are measured in."""

    def adam(self, learning_rate: float) -> torch.optim.Adam:
        """Adam on all changes, each with its own unit; from here on they need gradients."""
        groups = [
            {"params": [change.requires_grad_()], "lr": learning_rate * self.units[index]}
            for index, change in self.by_layer.items()
        ]
        return torch.optim.Adam(groups)

    @property
    def are_finite(self) -> bool:
        """Whether no entry is infinite or not a number."""
        return all(bool(torch.isfinite(change).all()) for change in self.by_layer.values())

    @contextmanager
    def in_place(self) -> Iterator[None]:
        """Inside the block each down projection computes with its change added, with gradients to the change."""
        with ExitStack() as stack:
            for layer in self._layers:
                handle = layer.down.module.register_forward_hook(_adding(self.by_layer[layer.index]))
                stack.callback(handle.remove)
            yield

    def result(self) -> tuple[FactorDelta, tuple[LayerReport, ...]]:
        """The changes as factors, and how large they are. A change of full rank is stored exactly, as the identity
        times itself (ADR 0015)."""
        factors, reports = {}, []
        for layer in self._layers:
            change = self.by_layer[layer.index].detach().double().cpu()
            left, right = compressed(torch.eye(change.shape[0], dtype=torch.float64), change)
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
        return FactorDelta(factors), tuple(reports)


def _adding(change: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + (args[0].to(change.dtype) @ change.T).to(output.dtype)

    return hook


def _unit(layer: DecoderLayer, recipe: Recipe) -> float:
    """The weights' root mean square, or 1."""
    weight = layer.down.weight.detach().double()
    return float(weight.norm() / weight.numel() ** 0.5) if recipe.relative_step else 1.0
