"""The subject's states s at each layer, the object's state o before the final norm, and the Jacobian of one by the
other. Only the layers above, and the positions from the subject's last token on, are run again."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.errors import ModelError
from kbsync.editing.common.prompts import Prompt
from kbsync.model.decoder import Decoder, first_tensor
from kbsync.model.suffix import Suffixes, prepare_suffixes

BATCH = 32
"""Prompts that are read at once."""
ROWS = 96
"""Numbers of o whose gradients are taken at once."""


@dataclass(frozen=True, slots=True)
class RelationStates:
    """What some prompts came to, on the CPU."""

    subjects: dict[int, Tensor]
    """By layer, s (n, d): the residual stream after it, at the subject's last token."""
    objects: Tensor
    """o (n, d): the residual stream after the last layer, at the prompt's last token."""
    said: Tensor
    """The likeliest next token of each prompt, int64 (n,)."""


@torch.no_grad()
def read_states(decoder: Decoder, prompts: Sequence[Prompt], layers: Collection[int]) -> RelationStates:
    """Read the states of prompts.

    Args:
        decoder: The model, frozen.
        prompts: At least one.
        layers: Indices of the layers after which s is read, none of them the last layer.
    """
    parts = []
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        suffixes = _suffixes(decoder, batch, layers)
        passed = _run(suffixes, suffixes.whole(suffixes.hidden), layers)
        rows, column = torch.arange(len(batch)), suffixes.column
        objects = passed[-1][rows, column + _last_columns(batch)]
        said = decoder.logits(decoder.final_norm(objects)).argmax(dim=-1)
        parts.append(([passed[layer][:, column].cpu() for layer in layers], objects.cpu(), said.cpu()))
    return RelationStates(
        {layer: torch.cat([part[0][n] for part in parts]) for n, layer in enumerate(layers)},
        torch.cat([part[1] for part in parts]),
        torch.cat([part[2] for part in parts]),
    )


def jacobians(decoder: Decoder, prompt: Prompt, layers: Collection[int]) -> dict[int, Tensor]:
    """∂o/∂s of one prompt at each layer, (d, d) with o's numbers as rows, on the CPU.

    One row of the batch stands for one number of o, and one pass backwards gives the gradients at all layers.

    Args:
        decoder: The model, frozen.
        prompt: The prompt, without an answer.
        layers: As for ``read_states``.
    """
    width = decoder.hidden_size
    rows = min(ROWS, width)
    one = _suffixes(decoder, [prompt], layers)
    suffixes = one.select(torch.zeros(rows, dtype=torch.long))
    entered = suffixes.whole(suffixes.hidden).detach().clone().requires_grad_()
    with torch.enable_grad():
        passed = _run(suffixes, entered, layers)
        objects = passed[-1][:, suffixes.column + len(prompt.ids) - 1 - prompt.lookup]
    states = [passed[layer] for layer in layers]
    found = {layer: torch.empty(width, width, dtype=entered.dtype) for layer in layers}
    for start in range(0, width, rows):
        count = min(rows, width - start)
        chosen = objects[torch.arange(count), torch.arange(start, start + count)].sum()
        gradients = torch.autograd.grad(chosen, states, retain_graph=start + rows < width)
        for layer, gradient in zip(layers, gradients, strict=True):
            found[layer][start : start + count] = gradient[:count, suffixes.column]
    return found


@torch.no_grad()
def said_with(decoder: Decoder, prompts: Sequence[Prompt], layer: int, changes: Tensor) -> Tensor:
    """The likeliest next tokens where ``changes`` (n, d) are added to s after ``layer``, int64 (n,), on the CPU."""
    said = []
    for start in range(0, len(prompts), BATCH):
        batch = prompts[start : start + BATCH]
        suffixes = _suffixes(decoder, batch, [layer])
        hidden = suffixes.hidden.clone()
        hidden[:, 0] += changes[start : start + BATCH].to(hidden)
        normed = suffixes.run(hidden)[torch.arange(len(batch)), _last_columns(batch)]
        said.append(decoder.logits(normed).argmax(dim=-1).cpu())
    return torch.cat(said)


def _suffixes(decoder: Decoder, prompts: Sequence[Prompt], layers: Collection[int]) -> Suffixes:
    if not layers or min(layers) < 0 or max(layers) >= len(decoder.layers) - 1:
        raise ModelError(
            f"Layers {sorted(layers)} can't be read: the model has layers 0 to {len(decoder.layers) - 1}, and above "
            "the last one nothing is left to be read out."
        )
    return prepare_suffixes(decoder, [(prompt.ids, prompt.lookup) for prompt in prompts], min(layers) + 1)


def _run(suffixes: Suffixes, entered: Tensor, layers: Collection[int]) -> dict[int, Tensor]:
    """The residual stream after each of ``layers``, and as -1 that after the last layer."""
    passed = {suffixes.first - 1: entered}
    hidden = entered
    above = suffixes.decoder.layers[suffixes.first :]
    for layer, (args, kwargs) in zip(above, suffixes.calls, strict=True):
        hidden = first_tensor(layer.module(hidden, *args, **kwargs))
        if layer.index in layers:
            passed[layer.index] = hidden
    return passed | {-1: hidden}


def _last_columns(prompts: Sequence[Prompt]) -> Tensor:
    return torch.tensor([len(prompt.ids) - 1 - prompt.lookup for prompt in prompts])
