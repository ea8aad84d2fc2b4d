"""Whether a model can be edited, tried before anybody waits for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from kbsync.domain.errors import ModelError
from kbsync.model.decoder import Decoder, discover
from kbsync.model.suffix import prepare_suffixes

_ROWS = ((5, 2), (3, 1))
"""Length and lookup position of the texts that are tried: two lengths, so that one is padded on both sides."""


def editable(model: PreTrainedModel) -> Decoder:
    """Find a model's parts, and try on two short texts what the search for target vectors does: run the upper layers
    alone, as they are and with a change at the lookup position.

    Raises:
        ModelError: What ``discover`` finds, or that gives other predictions than the model's own pass.
    """
    decoder = discover(model)
    size = int(model.config.get_text_config().vocab_size)
    rows = [([(7 * i + 3) % size for i in range(length)], lookup) for length, lookup in _ROWS]
    first = len(decoder.layers) // 2
    try:
        with torch.no_grad():
            suffixes = prepare_suffixes(decoder, rows, first)
            scale = suffixes.hidden.abs().mean()
            change = (
                torch.randn(suffixes.hidden.shape[-1], generator=torch.Generator().manual_seed(0)).to(scale) * scale
            )
            for added in (torch.zeros_like(change), change):
                hidden = suffixes.hidden.clone()
                hidden[:, 0] += added
                again = decoder.logits(suffixes.run(hidden))
                for row, (ids, lookup) in enumerate(rows):
                    own = _own_logits(decoder, first, ids, lookup, added)[lookup:]
                    _compare(model, again[row, : len(own)], own)
    except ModelError:
        raise
    except Exception as error:  # a model is a program: what can't be run in parts fails with whatever its code raises
        raise _unfit(model, f"{type(error).__name__}: {error}") from error
    return decoder


def _own_logits(decoder: Decoder, first: int, ids: list[int], lookup: int, change: Tensor) -> Tensor:
    """What the whole model says (length, vocabulary), with ``change`` (d,) added to what enters a layer."""

    def add(
        _module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        hidden = (args[0] if args else kwargs["hidden_states"]).clone()
        hidden[:, lookup] += change
        return ((hidden, *args[1:]), kwargs) if args else (args, {**kwargs, "hidden_states": hidden})

    handle = decoder.layers[first].module.register_forward_pre_hook(add, with_kwargs=True)
    try:
        logits: Tensor = decoder.model(
            input_ids=torch.tensor([ids], device=decoder.model.device), use_cache=False
        ).logits
    finally:
        handle.remove()
    return logits[0]


def _compare(model: PreTrainedModel, again: Tensor, own: Tensor) -> None:
    gap = (again - own).abs().max()
    if not gap <= min(0.2, 64 * torch.finfo(own.dtype).eps ** 0.75) * own.abs().max():
        raise _unfit(model, f"its predictions then differ by {float(gap):.2g}")


def _unfit(model: PreTrainedModel, reason: str) -> ModelError:
    return ModelError(
        f"{type(model).__name__} is not a decoder that kbsync can edit: its upper layers can't be run alone "
        f"({reason}).",
        next_step="Choose a model with attention by positions, such as a Llama, Qwen 3 or Gemma 3.",
    )
