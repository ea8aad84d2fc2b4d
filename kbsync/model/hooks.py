"""torch hooks on a decoder: record activations, stop a pass early, and change what modules put out."""

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
    """Unwinds a forward pass once everything asked for has been recorded; never leaves this module."""


@dataclass(slots=True)
class Activations:
    """What layers computed in one pass, by layer index; each (batch, length, width), and not a copy."""

    keys: dict[int, Tensor] = field(default_factory=dict)
    """Inputs of the down projection: the keys k of MEMIT."""
    outputs: dict[int, Tensor] = field(default_factory=dict)
    """Outputs of the whole layer: the residual stream after it."""
    downs: dict[int, Tensor] = field(default_factory=dict)
    """Outputs of the down projection, before any norm."""


def activations(
    decoder: Decoder,
    inputs: dict[str, Any],
    *,
    keys: Collection[int] = (),
    outputs: Collection[int] = (),
    downs: Collection[int] = (),
) -> Activations:
    """Run the model up to the last layer that is asked for; no layer above it runs, and no head.

    Args:
        inputs: Arguments of the model's forward pass.
        keys: Indices of the layers whose keys are recorded.
        outputs: Indices of the layers whose outputs are recorded.
        downs: Indices of the layers whose down projections' outputs are recorded.
    """
    stop = decoder.layers[max([*keys, *outputs, *downs])].module

    def end(_module: nn.Module, _args: tuple[Any, ...], _output: Any) -> None:
        raise _StopForward

    recording = record_activations(decoder, keys=keys, outputs=outputs, downs=downs)
    with recording as recorded, stop.register_forward_hook(end), suppress(_StopForward):
        decoder.model(**inputs)
    return recorded


@contextmanager
def record_activations(
    decoder: Decoder, *, keys: Collection[int] = (), outputs: Collection[int] = (), downs: Collection[int] = ()
) -> Iterator[Activations]:
    """Inside the block, record the activations of every pass through the named layers.

    A later pass overwrites an earlier one. The arguments are those of ``activations``.
    """
    recorded = Activations()

    rows: dict[int, int] = {}

    def count_rows(index: int) -> Callable[[nn.Module, tuple[Any, ...], dict[str, Any]], None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            rows[index] = len(args[0] if args else kwargs["hidden_states"])

        return hook

    def watch_down(index: int) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_module: nn.Module, args: tuple[Any, ...], output: Any) -> None:
            if index in keys:
                recorded.keys[index] = by_row(args[0], rows[index])
            if index in downs:
                recorded.downs[index] = by_row(output, rows[index])

        return hook

    def watch_layer(index: int) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
        def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> None:
            recorded.outputs[index] = first_tensor(output)

        return hook

    with ExitStack() as stack:
        for index in {*keys, *downs}:
            before = decoder.layers[index].module.register_forward_pre_hook(count_rows(index), with_kwargs=True)
            stack.callback(before.remove)
            stack.callback(decoder.layers[index].down.module.register_forward_hook(watch_down(index)).remove)
        for index in outputs:
            stack.callback(decoder.layers[index].module.register_forward_hook(watch_layer(index)).remove)
        yield recorded


def by_row(tokens: Tensor, rows: int) -> Tensor:
    """A view (rows, length, width) of what a module computed: a mixture of experts may put all tokens in one row."""
    return tokens if tokens.ndim > 2 else tokens.reshape(rows, -1, tokens.shape[-1])


@contextmanager
def add_to_output(module: nn.Module, column: int | Tensor, rows: Tensor) -> Iterator[None]:
    """Inside the block, add something to a module's output at one position of each row.

    The sum is a new tensor, so that gradients reach ``rows`` and nothing is written in place.

    Args:
        module: Its output is (batch, length, width), or (batch · length, width).
        column: The position: the same in all rows, or (batch,), one for each.
        rows: What is added, (batch, width).
    """

    def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        plain = first_tensor(output)
        shift = torch.zeros_like(plain)
        by_row(shift, len(rows))[torch.arange(len(rows)), column] = rows.to(plain.dtype)
        return plain + shift if output is plain else (plain + shift, *output[1:])

    with module.register_forward_hook(hook):
        yield


@contextmanager
def perturb(module: nn.Module, shift: Tensor) -> Iterator[None]:
    """Inside the block, add ``shift`` to the whole output of the module; its shape must be the output's, or broadcast
    to it."""

    def hook(_module: nn.Module, _args: tuple[Any, ...], output: Any) -> Any:
        plain = first_tensor(output)
        moved = plain + (shift.reshape(plain.shape) if shift.numel() == plain.numel() else shift)
        return moved if output is plain else (moved, *output[1:])

    with module.register_forward_hook(hook):
        yield


@contextmanager
def restrict_logits(head: nn.Module, rows: Tensor, columns: Tensor) -> Iterator[None]:
    """Inside the block, compute logits at n chosen places only.

    In a model with a large vocabulary the projection to it takes most of a pass.

    Args:
        head: The output head, whose input is (batch, length, d). A pass's logits become (1, n, vocabulary).
        rows: int64 (n,), the row of each place.
        columns: int64 (n,), the position of each place in its row.
    """

    def hook(_module: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return args[0][rows, columns][None], *args[1:]

    with head.register_forward_pre_hook(hook):
        yield


@contextmanager
def frozen(model: PreTrainedModel) -> Iterator[None]:
    """Inside the block the model is in evaluation mode and no weight requires a gradient; both come back afterwards."""
    training, trainable = model.training, [p for p in model.parameters() if p.requires_grad]
    nn.Module.eval(model)
    for parameter in trainable:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        model.train(training)
        for parameter in trainable:
            parameter.requires_grad_(True)
