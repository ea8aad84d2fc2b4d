"""Whether a model can be edited, tried before anybody waits for it."""

from __future__ import annotations

import torch
from transformers import PreTrainedModel

from kbsync.domain.errors import ModelError
from kbsync.model.decoder import Decoder, discover
from kbsync.model.suffix import prepare_suffixes

_ROWS = ((5, 2), (3, 1))
"""Length and lookup position of the texts that are tried: two lengths, so that one is padded on both sides."""


def editable(model: PreTrainedModel) -> Decoder:
    """Find a model's parts, and try on two short texts what the search for target vectors does: run the upper layers
    alone, from the middle of a text on.

    Raises:
        ModelError: What ``discover`` finds, or that gives other predictions than the model's own pass.
    """
    decoder = discover(model)
    size = int(model.config.get_text_config().vocab_size)
    rows = [([(7 * i + 3) % size for i in range(length)], lookup) for length, lookup in _ROWS]
    try:
        with torch.no_grad():
            suffixes = prepare_suffixes(decoder, rows, len(decoder.layers) // 2)
            again = decoder.logits(suffixes.run(suffixes.hidden))
            whole = [
                model(input_ids=torch.tensor([ids], device=model.device), use_cache=False).logits for ids, _ in rows
            ]
    except ModelError:
        raise
    except Exception as error:  # a model is a program: what can't be run in parts fails with whatever its code raises
        raise _unfit(model, f"{type(error).__name__}: {error}") from error
    for row, ((ids, lookup), own) in enumerate(zip(rows, whole, strict=True)):
        gap = (again[row, : len(ids) - lookup] - own[0, lookup:]).abs().max()
        if not gap <= min(0.2, 64 * torch.finfo(own.dtype).eps ** 0.75) * own.abs().max():
            raise _unfit(model, f"its predictions then differ by {float(gap):.2g}")
    return decoder


def _unfit(model: PreTrainedModel, reason: str) -> ModelError:
    return ModelError(
        f"{type(model).__name__} is not a decoder that kbsync can edit: its upper layers can't be run from the middle "
        f"of a text on ({reason}).",
        next_step="Choose a model with attention by positions, such as a Llama, Qwen 3 or Gemma 3.",
    )
