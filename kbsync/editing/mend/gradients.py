"""The gradient of a fact by a linear map, as the vectors that it is made of: Σ δ uᵀ over the tokens."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from kbsync.editing.common.prompts import Prompt
from kbsync.editing.memit.distributions import target_nll
from kbsync.model.decoder import Decoder, DecoderLayer, first_tensor


@dataclass(frozen=True, slots=True)
class LinearMap:
    """A weight of an MLP."""

    name: str
    """The parameter's full name."""
    layer: int
    module: nn.Module

    @property
    def weight(self) -> Tensor:
        """As a view (out, in), however it is stored."""
        stored: Tensor = self.module.weight.detach()  # type: ignore[operator]
        return stored.T if isinstance(self.module, Conv1D) else stored


@dataclass(frozen=True, slots=True)
class TokenGradients:
    """What ∇W = Σ δ uᵀ of one fact is made of: its n tokens of which δ is not 0."""

    inputs: Tensor
    """u (n, in), what enters the map."""
    by_outputs: Tensor
    """δ (n, out), the gradient of the fact's loss by what leaves it."""


def linear_maps(decoder: Decoder, layers: Sequence[DecoderLayer]) -> list[LinearMap]:
    """All linear maps of the layers' MLPs, in the order of the layers."""
    names = {module: name for name, module in decoder.model.named_modules()}
    return [
        LinearMap(f"{names[module]}.weight", layer.index, module)
        for layer in layers
        for module in layer.mlp.modules()
        if isinstance(module, nn.Linear | Conv1D)
    ]


def token_gradients(
    decoder: Decoder, maps: Sequence[LinearMap], prompts: Sequence[Prompt]
) -> tuple[list[dict[str, TokenGradients]], list[float]]:
    """For each prompt, by the map's name, what the gradient of its mean NLL is made of; and that NLL, in nats."""
    inputs: dict[str, Tensor] = {}
    probes: dict[str, Tensor] = {}
    with torch.enable_grad(), ExitStack() as stack:
        for one in maps:
            stack.callback(one.module.register_forward_hook(_probing(one.name, inputs, probes)).remove)
        nll = target_nll(decoder, prompts).mean
        by_outputs = dict(zip(probes, torch.autograd.grad(nll.sum(), list(probes.values())), strict=True))
    found = []
    for row in range(len(prompts)):
        parts = {}
        for name, gradient in by_outputs.items():
            told = gradient[row].abs().sum(dim=-1) > 0
            parts[name] = TokenGradients(inputs[name][row][told].clone(), gradient[row][told].clone())
        found.append(parts)
    return found, nll.tolist()


def adding(changes: Mapping[str, tuple[Tensor, Tensor]], maps: Sequence[LinearMap]) -> ExitStack:
    """Each map computes with left (out, r) @ right (r, in) added, with gradients to both; close what is returned to
    take the changes away."""
    stack = ExitStack()
    for one in maps:
        stack.callback(one.module.register_forward_hook(_with_change(*changes[one.name])).remove)
    return stack


def _probing(name: str, inputs: dict[str, Tensor], probes: dict[str, Tensor]) -> Callable[..., Tensor]:
    def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        inputs[name] = args[0].detach()
        probes[name] = torch.zeros_like(output, requires_grad=True)
        return first_tensor(output) + probes[name]

    return hook


def _with_change(left: Tensor, right: Tensor) -> Callable[..., Tensor]:
    def hook(_module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + (args[0] @ right.T.to(output.dtype)) @ left.T.to(output.dtype)

    return hook
