"""What an edit takes for granted of a decoder, tried on small forward passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from kbsync.domain.errors import ModelError

_PLAIN = "Choose a model whose layers are attention and an MLP, such as a Llama, Qwen 3 or Gemma 3."
_SHARE = 0.01
"""How far from 1 a factor may seem to be by rounding; averaged over many numbers, it is far less also in bfloat16."""


@torch.no_grad()
def require_attention(model: PreTrainedModel, layers: int, ids: Tensor) -> None:
    """Raise ``ModelError`` unless every layer keeps keys and values of each token.

    The search for target vectors runs a text from the middle on, behind the kept keys and values of what stands before.
    A recurrent or convolutional layer keeps a state instead, which is another one after each token.

    Args:
        model: The whole model.
        layers: How many layers were found.
        ids: Token ids (1, length) of a text.
    """
    cache = DynamicCache()
    try:
        model.base_model(input_ids=ids, past_key_values=cache, use_cache=True)
        kept: list[Any] = [getattr(layer, "keys", None) for layer in cache.layers]
    except (AttributeError, TypeError, ValueError, IndexError, NotImplementedError):
        kept = []
    for index in range(layers):
        keys = kept[index] if index < len(kept) else None
        if not isinstance(keys, Tensor) or keys.ndim != 4 or keys.shape[-2] != ids.shape[1]:
            raise ModelError(
                f"{type(model).__name__} is not a decoder that kbsync can edit: layer {index} keeps no "
                "keys and values of each token, so it is not plain attention (recurrent, convolutional or shared).",
                next_step=_PLAIN,
            )


@torch.no_grad()
def require_plain_sum(
    name: str, layer: nn.Module, last: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Tensor
) -> None:
    """Raise ``ModelError`` unless what the MLP puts out is added to the residual stream as it is.

    Some models multiply it (Granite, MiniCPM), and an edit would arrive as large only as that factor lets it.

    Args:
        name: The layer, for the error's text.
        layer: The layer that is tried.
        last: What puts out what its MLP adds: its down projection, or the norm after it.
        args: Its arguments in the pass that was watched, and ``kwargs`` those by name.
        output: What it put out then, (batch, length, d).
    """
    size = output.abs().max()
    generator = torch.Generator().manual_seed(0)
    nudge = torch.randn(output.shape[-1], generator=generator).to(output) * size

    def add(_module: nn.Module, _args: tuple[Any, ...], put_out: Tensor) -> Tensor:
        return put_out + nudge

    handle = last.register_forward_hook(add)
    try:
        again = layer(*args, **kwargs)
    finally:
        handle.remove()
    moved = (again if isinstance(again, Tensor) else again[0]) - output
    share = float((moved.float() * nudge.float()).sum() / (nudge.float() ** 2).expand_as(moved).sum())
    rounding = 16 * torch.finfo(output.dtype).eps * (size + nudge.abs().max())
    if not (moved - nudge).abs().max() <= rounding or abs(share - 1) > _SHARE:
        raise ModelError(
            f"{name} does not add its MLP's output to the residual stream as it is (it arrives multiplied "
            f"by {share:.3g}), and an edit would not be what was computed.",
            next_step=_PLAIN,
        )
