"""Weights as serving engines store them: rounded to a float type, or in the blocks of a GGUF file."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from kbsync.domain.errors import ModelError
from kbsync.domain.served_form import BLOCKS
from kbsync.model.gguf_layout import library
from kbsync.model.load import DTYPES

_BLOCK = 32
"""Weights that share a scale."""
_OUTPUT = "q8_0"
"""In files of a coarser type llama-quantize leaves the matrix before the vocabulary at 6 bits or more."""
_ROWS = 8192


def rounded(values: Tensor, kind: str) -> Tensor:
    """Values as they are after rounding.

    Args:
        values: (out, in) for a block type, whose ``in`` is a multiple of 32; else any shape.
        kind: A name of ``kbsync.domain.served_form``.

    Returns:
        A new tensor of the same shape, dtype and device.
    """
    if kind not in BLOCKS:
        return values.to(DTYPES[kind]).to(values.dtype)
    gguf = library()
    type = gguf.GGMLQuantizationType[kind.upper()]
    made = torch.empty_like(values, memory_format=torch.contiguous_format)
    for begin in range(0, len(values), _ROWS):
        rows = values[begin : begin + _ROWS].detach().cpu().float().contiguous().numpy()
        blocks = gguf.quants.dequantize(gguf.quants.quantize(rows, type), type)
        made[begin : begin + _ROWS] = torch.from_numpy(np.asarray(blocks, np.float32))
    return made


def rounded_weight(module: nn.Module, stored: Tensor, kind: str) -> Tensor:
    """A module's weight after rounding, in the layout in which it is stored (Conv1D: (in, out))."""
    turned = isinstance(module, Conv1D)
    made = rounded(stored.T if turned else stored, kind)
    return made.T.contiguous() if turned else made


def rounded_weights(model: PreTrainedModel, kind: str) -> dict[str, Tensor]:
    """By parameter, what stands in its place after rounding; it takes memory beside the base.

    A float type rounds all parameters. A block type rounds the matrices as llama-quantize does: not norms and
    positions, not matrices whose rows are no whole blocks, and the one before the vocabulary to ``q8_0``.
    """
    require(kind)
    with torch.no_grad():
        if kind not in BLOCKS:
            return {name: rounded(p.detach(), kind) for name, p in model.named_parameters()}
        made = {}
        owners = _matrices(model)
        output = _output(model)
        for name, parameter in model.named_parameters():
            owner = owners.get(id(parameter))
            if owner is not None and parameter.shape[0 if isinstance(owner, Conv1D) else 1] % _BLOCK == 0:
                made[name] = rounded_weight(owner, parameter.detach(), _OUTPUT if owner is output else kind)
        return made


def _matrices(model: PreTrainedModel) -> dict[int, nn.Module]:
    """By the id of its weight, each module whose matrix a GGUF file rounds; a tied one counts as that of the output."""
    modules = [m for m in model.modules() if isinstance(m, nn.Linear | Conv1D)]
    ends = [model.get_input_embeddings(), _output(model)]
    return {id(module.weight): module for module in [*modules, *ends] if module is not None}


def _output(model: PreTrainedModel) -> nn.Module | None:
    """The module before the vocabulary."""
    module: nn.Module | None = model.get_output_embeddings()  # type: ignore[no-untyped-call]
    return module


@contextmanager
def in_place(model: PreTrainedModel, weights: Mapping[str, Tensor]) -> Iterator[None]:
    """Inside the block the model computes with ``weights``; afterwards its own tensors are back."""
    parameters = dict(model.named_parameters())
    stored = {name: parameters[name].data for name in weights}
    try:
        for name, values in weights.items():
            parameters[name].data = values
        yield
    finally:
        for name, values in stored.items():
            parameters[name].data = values


def require(kind: str) -> None:
    """Raise ``ModelError`` where a rounding needs a package that is not installed."""
    if kind in BLOCKS and importlib.util.find_spec("gguf") is None:
        raise ModelError(
            f"Rounding to {kind} needs the package gguf, which is not installed.",
            next_step="Install it: pip install 'kbsync[gguf]'",
        )
