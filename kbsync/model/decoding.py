"""Texts that grow token by token: one key-value cache for every way to choose the next token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from kbsync.model.forward import Forward, not_finite
from kbsync.model.shared_start import attention_only, shared_start


class Continuation:
    """A batch of token rows and what comes after them; the caller chooses each next token."""

    def __init__(self, model: PreTrainedModel, rows: Sequence[Sequence[int]], *, shares_start: bool = False) -> None:
        """``shares_start``: tokens with which all rows begin are run once; predictions change by rounding."""
        self._forward = Forward(model)
        self._cache = self._forward.cache()
        start = self._run_shared(rows) if shares_start else 0
        self._ids, mask = self._forward.padded([row[start:] for row in rows])
        self._mask = torch.cat([mask.new_ones(len(rows), start), mask], dim=1)

    def _run_shared(self, rows: Sequence[Sequence[int]]) -> int:
        """Run once the tokens with which all rows begin; returns how many those are."""
        start = shared_start(rows) if attention_only(self._cache) else 0
        if start:
            self._forward.logits(*self._forward.padded([rows[0][:start]]), self._cache, keep=1)
            self._cache.batch_repeat_interleave(len(rows))
        return start

    def logits(self) -> Tensor:
        """Logits (rows, vocabulary) of every row's next token, in the model's dtype. Call it once for each token."""
        return self._forward.logits(self._ids, self._mask, self._cache, keep=1)[:, -1]

    def append(self, tokens: Tensor) -> None:
        """Continue each row with its token; ``tokens`` is int64 (rows,)."""
        self._ids = tokens[:, None]
        self._mask = torch.cat([self._mask, torch.ones_like(self._ids)], dim=1)

    def select(self, rows: Tensor) -> None:
        """Go on with these rows only; keys and values of the others are dropped. ``rows`` is int64, ascending."""
        cache: Any = self._cache  # its annotation wants a kind of tensor that no function returns
        cache.reorder_cache(rows)  # ``batch_select_indices`` leaves out what recurrent layers keep
        self._ids, self._mask = self._ids[rows], self._mask[rows]


@torch.inference_mode()
def greedy(
    model: PreTrainedModel, rows: Sequence[Sequence[int]], count: int, ends: Callable[[int], bool], eos: set[int]
) -> list[list[int]]:
    """Continue each row with its likeliest tokens, up to ``count`` of them.

    A row ends before a token of ``eos``, and after one for which ``ends`` is true. Rows that ended leave the batch.
    Raises ``ModelError`` where the predictions are not finite.
    """
    batch = Continuation(model, rows, shares_start=True)
    new: list[list[int]] = [[] for _ in rows]
    going = list(range(len(rows)))
    for step in range(count):
        best, tokens = batch.logits().max(-1)
        following, finite = torch.stack([tokens, best.isfinite().to(tokens)]).tolist()  # in one transfer
        if not all(finite):
            raise not_finite()
        on = []
        for place, (row, token) in enumerate(zip(going, following, strict=True)):
            if token not in eos:
                new[row].append(token)
                if not ends(token):
                    on.append(place)
        if not on or step + 1 == count:
            break
        batch.append(tokens)
        if len(on) < len(going):
            batch.select(torch.tensor(on, device=tokens.device))
            going = [going[place] for place in on]
    return new


def eos_ids(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> set[int]:
    """Ids that end a text, by the generation settings and by the tokenizer."""
    settings = getattr(model, "generation_config", None)
    configured = getattr(settings, "eos_token_id", None)
    ids = configured if isinstance(configured, list) else [configured]
    return {i for i in [*ids, tokenizer.eos_token_id] if i is not None}


def line_ends(tokenizer: PreTrainedTokenizerFast) -> Callable[[int], bool]:
    """Says of a token whether it holds the end of a line. Each token is decoded once."""

    @cache
    def ends(token: int) -> bool:
        return "\n" in tokenizer.decode([token])

    return ends
