"""One small forward pass of a model, and what each of its modules did in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

PROBE_LENGTH = 3
"""Tokens of the pass that is watched; more than one, so that logits and states have a length to compare."""


@dataclass(frozen=True, slots=True)
class Call:
    """The last call of a module in the pass that was watched."""

    module: nn.Module
    order: int
    """The number of calls that returned before this one."""
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The tensors among the arguments."""
        return tuple(t for t in (*self.args, *self.kwargs.values()) if isinstance(t, Tensor))

    def reads(self, tensor: Tensor) -> bool:
        """Whether ``tensor`` was among the inputs."""
        return any(t.data_ptr() == tensor.data_ptr() and t.numel() == tensor.numel() for t in self.inputs)


def watch(model: PreTrainedModel) -> tuple[dict[int, Call], Tensor]:
    """Run ``PROBE_LENGTH`` tokens; returns the last call of each module by the module's id, and the logits.

    The calls keep all tensors alive, so that no two of them share an address.
    """
    calls: dict[int, Call] = {}

    def note(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: object) -> None:
        tensor = output[0] if isinstance(output, tuple) and output else output
        if isinstance(tensor, Tensor):
            calls[id(module)] = Call(module, len(calls), args, kwargs, tensor)

    handles = [m.register_forward_hook(note, with_kwargs=True) for m in model.modules()]
    training = model.training
    try:
        nn.Module.eval(model)
        with torch.no_grad():
            logits: Tensor = model(input_ids=probe_ids(model), use_cache=False).logits
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return calls, logits


def probe_ids(model: PreTrainedModel) -> Tensor:
    """The token ids (1, ``PROBE_LENGTH``) of the pass."""
    ids: Tensor = torch.arange(PROBE_LENGTH, device=model.device)[None] % model.config.get_text_config().vocab_size
    return ids


def linear_maps_in(module: nn.Module) -> list[nn.Module]:
    """The linear maps of a module, itself among them."""
    return [m for m in module.modules() if isinstance(m, nn.Linear | Conv1D)]


def owns_parameters(module: nn.Module) -> bool:
    """Whether a module has weights, its own or those of a part."""
    return next(module.parameters(), None) is not None


def outermost(modules: list[nn.Module]) -> Iterator[nn.Module]:
    """Those that are no part of another one of them."""
    inside = {id(part) for module in modules for part in module.modules() if part is not module}
    yield from (module for module in modules if id(module) not in inside)
