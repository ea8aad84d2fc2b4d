"""Forward passes of a causal model over rows of tokens, with logits only where a prediction is read.

The vocabulary projection is the greater part of a small model (62 % of Gemma 3 270M), so it runs nowhere else.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, PreTrainedModel

from kbsync.domain.errors import ModelError
from kbsync.model.tokens import Encoded

BATCH_TOKENS = 8192
"""Most tokens of a batch, padding included."""
LOGITS = 2**25
"""Most logits held at once (128 MiB in float32): what bounds the memory beside the weights."""


class Forward:
    """Runs ``model`` with the weights that it holds at the time of the call."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        config = model.config.get_text_config()
        self.context: int | None = getattr(config, "max_position_embeddings", None)
        """The most tokens that the model can read, None where nothing bounds them."""
        self.vocabulary = vocabulary_of(model)
        """The number of tokens that the model can read; a tokenizer may have more."""
        self.places = max(16, min(4096, LOGITS // config.vocab_size))
        """The most places whose logits are held at once."""

    def padded(self, rows: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
        """Token ids and attention mask, both int64 (rows, longest).

        Rows are padded on the left and the padding is masked, so that the last column is the next token's place in
        every row, and a prediction does not depend on the other rows beyond floating-point rounding.
        """
        length = max(len(row) for row in rows)
        device = self.model.device
        ids = torch.tensor([[0] * (length - len(row)) + list(row) for row in rows], device=device)
        mask = torch.tensor([[0] * (length - len(row)) + [1] * len(row) for row in rows], device=device)
        return ids, mask

    def cache(self) -> Cache:
        """An empty key-value cache."""
        return DynamicCache(config=self.model.config)

    def logits(self, ids: Tensor, mask: Tensor | None = None, cache: Cache | None = None, *, keep: int) -> Tensor:
        """Run ``ids`` behind what ``cache`` holds, and add them to it.

        Args:
            ids: Token ids (rows, length).
            mask: 1 where a token stands and 0 for padding, over cache and ids (rows, cached + length); a row's first
                unmasked token has position 0. None: nothing is padded on the left.
            cache: Keys and values of the tokens before, or None where there are none and none are kept.
            keep: The number of places at the end of each row whose logits are computed; 0 for all.

        Returns:
            Logits (rows, ``keep`` or length, vocabulary) in the model's dtype.
        """
        arguments: dict[str, Any] = {
            "input_ids": ids,
            "logits_to_keep": self._last(keep),
            "use_cache": cache is not None,
        }
        if mask is not None:
            arguments["attention_mask"] = mask
            if self._takes_positions:
                arguments["position_ids"] = (mask.cumsum(1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        logits: Tensor = self.model(**arguments, past_key_values=cache).logits
        return logits

    def _last(self, count: int) -> int | Tensor:
        """The last ``count`` places of each row (0: all) as transformers' ``logits_to_keep``.

        By index, because that copies the states: on a slice of them the vocabulary projection took eight times as long.
        The index lies on the model's device; on the CPU where a model is spread over several.
        """
        spread = getattr(self.model, "hf_device_map", None) is not None
        return torch.arange(-count, 0, device="cpu" if spread else self.model.device) if count else 0

    def require_fits(self, item: Encoded, new: int = 0) -> None:
        """Raise ``ModelError`` where a text and ``new`` more tokens are longer than the model's context, or one of its
        tokens is beyond the model's vocabulary."""
        if max(item.ids, default=0) >= self.vocabulary:
            raise ModelError(
                f"The text {item.text[:60]!r}… holds token {max(item.ids)} of a model with {self.vocabulary} tokens.",
                next_step="Use the model's own tokenizer, or leave the text out.",
            )
        if self.context is not None and len(item.ids) + new > self.context:
            raise ModelError(
                f"The text {item.text[:60]!r}… has {len(item.ids)} tokens; with {new} new ones "
                f"that is more than the model's context of {self.context}.",
                next_step="Shorten it, or use a model with a longer context.",
            )


def vocabulary_of(model: PreTrainedModel) -> int:
    """The number of tokens that the model can read: rows of its embedding."""
    return len(model.get_input_embeddings().weight)  # type: ignore[arg-type]


def require_finite(values: Tensor) -> None:
    """Raise ``ModelError`` for predictions that are not finite numbers."""
    if not values.isfinite().all():
        raise not_finite()


def not_finite() -> ModelError:
    """What is raised for predictions that are not finite numbers."""
    return ModelError(
        "The model's predictions are not finite numbers.",
        next_step="Check its weights; where they were edited, use a smaller clamp or a larger covariance weight.",
    )


def batches(sizes: Sequence[int], rows: int, tokens: int = BATCH_TOKENS) -> Iterator[list[int]]:
    """Indices in order of size (then of input), at most ``rows`` at a time and ``tokens`` with their padding."""
    batch: list[int] = []
    for index in sorted(range(len(sizes)), key=lambda i: sizes[i]):
        if batch and (len(batch) == rows or (len(batch) + 1) * sizes[index] > tokens):
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
