"""Rows that begin with the same tokens: what they share is run once.

A chat template puts its system prompt before every question, which is often longer than the question.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache

from kbsync.model.decoder import Decoder
from kbsync.model.suffix import keys_and_values

LEAST = 16
"""Tokens of a shared start that make it worth a pass of its own."""


def shared_start(rows: Sequence[Sequence[int]], most: int | None = None) -> int:
    """The number of tokens with which all rows begin, 0 where there are fewer than ``LEAST`` or only one row.

    Args:
        rows: Token ids. One token of each row is left over at least.
        most: The most tokens that may count (None: no bound).
    """
    if len(rows) < 2:
        return 0
    shortest = min(len(row) for row in rows) - 1
    bound = shortest if most is None else min(shortest, most)
    columns = zip(*(row[: max(bound, 0)] for row in rows), strict=True)
    count = sum(1 for _ in takewhile(lambda tokens: len(set(tokens)) == 1, columns))
    return count if count >= LEAST else 0


def attention_only(cache: Cache) -> bool:
    """Whether every layer of the cache keeps keys and values and nothing else, so that they can be repeated for many
    rows. Recurrent layers, and those that are both, keep states of another kind."""
    return all(hasattr(layer, "keys") and not hasattr(layer, "conv_states") for layer in cache.layers)


def by_start(rows: Sequence[Sequence[int]]) -> list[list[int]]:
    """Indices of rows that begin with the same ``LEAST`` tokens together; all others are one list, the first one."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, row in enumerate(rows):
        groups.setdefault(tuple(row[:LEAST]) if len(row) > LEAST else (), []).append(index)
    alone = sorted(i for key, group in groups.items() if not key or len(group) == 1 for i in group)
    shared = [group for key, group in groups.items() if key and len(group) > 1]
    return [part for part in (alone, *shared) if part]


def states_behind(decoder: Decoder, rows: Sequence[Sequence[int]], start: int) -> Tensor:
    """The final norm's outputs (rows, longest − start, d) at the tokens from ``start`` on, with gradients.

    Args:
        rows: Token ids, padded here on the right; the first ``start`` of them are the same in all rows.
        start: As ``shared_start`` found it; 0: every row is run from its first token.
    """
    if start and not decoder.splits:
        return states_behind(decoder, rows, 0)[:, start:]
    device = decoder.model.device
    length = max(len(row) for row in rows) - start
    tokens = torch.zeros(len(rows), start + length, dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for index, row in enumerate(rows):
        tokens[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    tokens, mask = torch.stack([tokens, mask]).to(device)  # in one transfer
    inputs: dict[str, Any] = {"input_ids": tokens[:, start:], "attention_mask": mask}
    if start:
        inputs["past_key_values"] = _repeated(decoder, rows[0][:start], len(rows))
        inputs["position_ids"] = torch.arange(start, start + length, device=device)[None]
    states: Tensor = decoder.model.base_model(**inputs, use_cache=bool(start)).last_hidden_state
    return states


def _repeated(decoder: Decoder, start: Sequence[int], count: int) -> DynamicCache:
    """Attention's keys and values of the shared start, for ``count`` rows."""
    filled = DynamicCache()
    ids = torch.tensor([list(start)], device=decoder.model.device)
    decoder.model.base_model(input_ids=ids, past_key_values=filled, use_cache=True)
    return DynamicCache([tuple(kv.expand(count, -1, -1, -1) for kv in pair) for pair in keys_and_values(filled)])
