"""What an edit takes for granted of a decoder, tried on small forward passes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache, PreTrainedModel

from kbsync.domain.errors import ModelError

_SHARE = 0.01
"""How far from 1 a factor may seem to be by rounding; averaged over many numbers, it is far less also in bfloat16."""


@torch.no_grad()
def keeps_keys(model: PreTrainedModel, layers: int, ids: Tensor) -> bool:
    """Whether every layer keeps keys and values of each token.

    The search for target vectors can then run a text from the middle on, behind the kept keys and values of what stands
    before. A recurrent or convolutional layer keeps a state instead, which is another one after each token.

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
        return False
    return len(kept) >= layers and all(
        isinstance(keys, Tensor) and keys.ndim == 4 and keys.shape[-2] == ids.shape[1] for keys in kept[:layers]
    )


@torch.no_grad()
def adds_plainly(
    name: str, layer: nn.Module, last: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], output: Tensor
) -> bool:
    """Whether what a module puts out is added to the residual stream as it is.

    Some models multiply it (Granite, MiniCPM; the gate of Qwen 2 MoE's shared expert), or read it once more in the same
    layer (an MLP reads what the attention added).

    Args:
        name: The layer, for the error's text.
        layer: The layer that is tried.
        last: What puts out what is tried: the edited map, or the norm after it.
        args: Its arguments in the pass that was watched, and ``kwargs`` those by name.
        output: What it put out then, (batch, length, d).

    Raises:
        ModelError: At some token it does not reach the layer's output at all, so that an edit there would do nothing.
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
    if not (moved.abs().amax(dim=-1) > 0).all():
        raise ModelError(
            f"{name} takes in nothing of what its last linear map puts out, so an edit of it would do nothing.",
            next_step="Choose a model whose layers are attention and an MLP, such as a Llama, Qwen 3 or Gemma 3.",
        )
    share = float((moved.float() * nudge.float()).sum() / (nudge.float() ** 2).expand_as(moved).sum())
    rounding = 16 * torch.finfo(output.dtype).eps * (size + nudge.abs().max())
    return bool((moved - nudge).abs().max() <= rounding) and abs(share - 1) <= _SHARE
