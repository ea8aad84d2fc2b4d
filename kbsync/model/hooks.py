"""Watch a forward pass, stop it early, and add to the residual stream."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kbsync.model.decoder import Decoder, first_tensor


class _StopForward(Exception):
    """Unwinds a forward pass once all that was asked for has been seen; never leaves this module."""


@dataclass(slots=True)
class Activations:
    """What one pass showed, by layer index; all (batch, length, width), as computed, not copied.

    ``keys``: inputs of the down projection; ``outputs``: of the layer (the residual stream after it); ``downs``: of
    the down projection, before any norm.
    """

    keys: dict[int, Tensor] = field(default_factory=dict)
    outputs: dict[int, Tensor] = field(default_factory=dict)
    downs: dict[int, Tensor] = field(default_factory=dict)


def activations(
    decoder: Decoder,
    inputs: dict[str, Any],
    *,
    keys: Collection[int] = (),
    outputs: Collection[int] = (),
    downs: Collection[int] = (),
) -> Activations:
    """Run the model on ``inputs`` up to the last layer that is asked for: no layer above it, no head."""
    stop = decoder.layers[max([*keys, *outputs, *downs])].module

    def end(_module: nn.Module, _args: tuple[Any, ...], _output: Any) -> None:
        raise _StopForward

    with record_activations(decoder, keys=keys, outputs=outputs, downs=downs) as seen:
        handle = stop.register_forward_hook(end)
        try:
            with suppress(_StopForward):
                decoder.model(**inputs)
        finally:
            handle.remove()
    return seen


@contextmanager
def record_activations(
    decoder: Decoder, *, keys: Collection[int] = (), outputs: Collection[int] = (), downs: Collection[int] = ()
) -> Iterator[Activations]:
    """Inside the block, whatever runs the asked layers fills the trace; a later run overwrites an earlier one."""
    seen = Activations()

    def watch_down(index: int) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if index in keys:
                seen.keys[index] = args[0]
            if index in downs:
                seen.downs[index] = output

        return hook

    def watch_layer(index: int) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            seen.outputs[index] = first_tensor(output)

        return hook

    with ExitStack() as stack:
        for index in {*keys, *downs}:
            stack.callback(decoder.layers[index].down.module.register_forward_hook(watch_down(index)).remove)
        for index in outputs:
            stack.callback(decoder.layers[index].module.register_forward_hook(watch_layer(index)).remove)
        yield seen


@contextmanager
def add_to_output(module: nn.Module, column: int, rows: Tensor) -> Iterator[None]:
    """Inside the block, ``rows`` (batch, width) are added to the module's output at position ``column``.

    The sum is a new tensor, so gradients reach ``rows`` and nothing is written in place.
    """

    def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        plain = first_tensor(output)
        shift = torch.zeros_like(plain)
        shift[:, column] = rows.to(plain.dtype)
        return plain + shift if output is plain else (plain + shift, *output[1:])

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def perturb(module: nn.Module, shift: Tensor) -> Iterator[None]:
    """Inside the block, ``shift`` is added to the module's output."""

    def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        plain = first_tensor(output)
        return plain + shift if output is plain else (plain + shift, *output[1:])

    handle = module.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def restrict_logits(head: nn.Module, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Inside the block the head sees its input (batch, length, d) at these n places only, and the logits of a pass are
    (1, n, vocabulary): in a model with a large vocabulary the projection is most of a pass."""

    def hook(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return args[0][rows, columns][None], *args[1:]

    handle = head.register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def frozen(model: PreTrainedModel) -> Iterator[None]:
    """Inside the block the model is in evaluation mode and no weight asks for a gradient; afterwards all is as before."""
    training, wanted = model.training, [p for p in model.parameters() if p.requires_grad]
    nn.Module.eval(model)
    for parameter in wanted:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        model.train(training)
        for parameter in wanted:
            parameter.requires_grad_(True)
