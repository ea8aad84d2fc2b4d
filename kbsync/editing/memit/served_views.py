"""The weights that a refinement practises with: unrounded, and as forms of serving round them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kbsync.domain.served_form import ServedForm
from kbsync.model.decoder import DecoderLayer, first_tensor
from kbsync.model.delta import edited_weight
from kbsync.model.rounding import in_place, rounded_weight, rounded_weights


@dataclass(frozen=True, slots=True)
class Factors:
    """Δ = L R of one layer, with R C Rᵀ = I."""

    left: Tensor
    """L (out, r), float32, what is trained."""
    right: Tensor
    """R (r, m), float32."""

    def to(self, device: torch.device) -> Factors:
        """The same on a device."""
        return Factors(self.left.to(device), self.right.to(device))


class View:
    """Edited layers put out what they would with W + L R."""

    def __init__(self, layers: Sequence[DecoderLayer]) -> None:
        self._layers = tuple(layers)

    @contextmanager
    def in_place(self, factors: Mapping[str, Factors]) -> Iterator[None]:
        """Inside the block the model answers so, with gradients to each L."""
        with ExitStack() as stack:
            for layer in self._layers:
                hook = self._hook(factors[layer.down.name])
                stack.callback(layer.down.module.register_forward_hook(hook).remove)
            yield

    def _hook(self, factors: Factors) -> Callable[..., Any]:
        return _adding(factors)


class AdapterView(View):
    """The same on a rounded base."""

    def __init__(self, layers: Sequence[DecoderLayer], model: PreTrainedModel, kind: str) -> None:
        super().__init__(layers)
        self._model, self._kind = model, kind
        self._rounded = rounded_weights(model, kind)

    @contextmanager
    def in_place(self, factors: Mapping[str, Factors]) -> Iterator[None]:
        with in_place(self._model, self._rounded), super().in_place(factors):
            yield


class RoundedView(AdapterView):
    """W + L R is rounded as all other weights are. Rounding has no useful derivative, so the gradient is that of the
    unrounded product ("straight-through", Bengio et al. 2013, arXiv:1308.3432)."""

    @contextmanager
    def in_place(self, factors: Mapping[str, Factors]) -> Iterator[None]:
        edited = {layer.down.name: self._edited(layer, factors[layer.down.name]) for layer in self._layers}
        with super().in_place(factors), in_place(self._model, edited):
            yield

    def _edited(self, layer: DecoderLayer, factors: Factors) -> Tensor:
        """The edited weight as it is served; called while the base's own weights are in place."""
        module = layer.down.module
        stored: Tensor = module.weight  # type: ignore[assignment]
        whole = edited_weight(module, stored.detach(), factors.left.detach(), factors.right)
        return rounded_weight(module, whole, self._kind) if layer.down.name in self._rounded else whole

    def _hook(self, factors: Factors) -> Callable[..., Any]:
        return _passing(factors)


def practised_views(model: PreTrainedModel, layers: Sequence[DecoderLayer], forms: Sequence[str]) -> list[View]:
    """The unrounded weights first, then the forms in the order in which they are named."""
    views = [View(layers)]
    for form in map(ServedForm.named, forms):
        views.append((AdapterView if form.adapter else RoundedView)(layers, model, form.kind))
    return views


def _adding(factors: Factors) -> Callable[..., Any]:
    """A forward hook that adds (x Rᵀ) Lᵀ to a module's output."""

    def add(_module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        return first_tensor(output) + _change(args[0], factors)

    return add


def _passing(factors: Factors) -> Callable[..., Any]:
    """A forward hook that adds nothing, and by which L gets the gradient that it would have as in ``_adding``."""

    def add(_module: nn.Module, args: tuple[Any, ...], output: Any) -> Any:
        # What x gets comes through the rounded weight already.
        change = _change(args[0].detach(), factors)
        return first_tensor(output) + (change - change.detach())

    return add


def _change(x: Tensor, factors: Factors) -> Tensor:
    return (x @ factors.right.T.to(x.dtype)) @ factors.left.T.to(x.dtype)
