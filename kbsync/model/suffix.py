"""Runs only what a change at one position can reach: the upper layers, from that position on.

Nothing below the first changed layer or before the changed position depends on the change. So the keys and values of
the prefix (the tokens before that position) and the hidden states of the suffix (that token and those after it) are
computed once. Each run then repeats the upper layers with the same arguments (masks, rotary tables, cache) that the
model's own forward pass gave them.

A layer that is recurrent or convolutional keeps no keys and values, so the upper layers of a hybrid repeat the whole
text. Its rows are padded on the left until their lookup positions stand in one column, as rows are that a model
continues; recurrent layers let such padding pass without a trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache

from kbsync.domain.errors import ModelError
from kbsync.model.decoder import Decoder, first_tensor
from kbsync.model.hooks import activations

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""A layer's arguments apart from the hidden states: positional ones, and those by name."""


class FixedPrefix(DynamicCache):
    """Keys and values of a prefix that every pass reads and none extends, so that a pass can be repeated.

    This is attention's cache of keys and values; MEMIT's keys are something else.
    """

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Return the prefix's and the new keys and values joined along the length; the cache itself does not change."""
        if layer_idx >= len(self.layers):
            return key_states, value_states
        keys, values = keys_and_values(self)[layer_idx]
        return torch.cat([keys, key_states], dim=-2), torch.cat([values, value_states], dim=-2)

    def forget_below(self, first: int) -> None:
        """Drop the keys and values of the layers below ``first``, which are not run again."""
        lower: list[Any] = self.layers[:first]
        for layer, (keys, values) in zip(lower, keys_and_values(self), strict=False):
            layer.keys, layer.values = keys[:, :, :0].clone(), values[:, :, :0].clone()

    def rows(self, index: Tensor) -> FixedPrefix:
        """The prefixes of the rows in ``index``, int64 (n,)."""
        if not self.layers:
            return FixedPrefix()
        rows = _Rows(index)
        return FixedPrefix([(rows.of(keys), rows.of(values)) for keys, values in keys_and_values(self)])


def keys_and_values(cache: DynamicCache) -> list[tuple[Tensor, Tensor]]:
    """Attention's keys and values of each layer, both (batch, heads, length, width).

    Raises ``ModelError`` for a layer that keeps none.
    """
    pairs = []
    for layer in cache.layers:
        keys, values = getattr(layer, "keys", None), getattr(layer, "values", None)
        if keys is None or values is None:
            raise ModelError("A layer keeps no keys and values.", next_step="Choose a model with attention only.")
        pairs.append((keys, values))
    return pairs


_UNBOUNDED = 2048
"""Tokens of a row for a model that says no bound."""


@dataclass(frozen=True, slots=True)
class Suffixes:
    """A batch of rows from their lookup position on, which is column 0."""

    decoder: Decoder
    first: int
    """Index of the first layer that is run again."""
    hidden: Tensor
    """What enters that layer, (batch, length, d)."""
    calls: tuple[Call, ...]
    """The other arguments of that layer and of those above it."""
    cache: FixedPrefix
    normed: Tensor
    """Output of the final norm without any change, (batch, length, d)."""
    before: Tensor | None = None
    """What enters that layer before the lookup position, (batch, prefix, d), where it must run again as well; None
    where ``cache`` stands for it."""

    @property
    def column(self) -> int:
        """Where the lookup position stands in what a layer gets."""
        return 0 if self.before is None else self.before.shape[1]

    def whole(self, hidden: Tensor) -> Tensor:
        """What a layer gets where ``hidden`` (batch, length, d) enters layer ``first``: (batch, column + length, d)."""
        return hidden if self.before is None else torch.cat([self.before, hidden], dim=1)

    def run(self, hidden: Tensor) -> Tensor:
        """The final norm's output when ``hidden`` enters layer ``first``; both are (batch, length, d)."""
        hidden = self.whole(hidden)
        for layer, (args, kwargs) in zip(self.decoder.layers[self.first :], self.calls, strict=True):
            hidden = first_tensor(layer.module(hidden, *args, **kwargs))
        normed: Tensor = self.decoder.final_norm(hidden[:, self.column :])
        return normed

    def select(self, index: Tensor, length: int | None = None) -> Suffixes:
        """Keep the rows in ``index``, int64 (n,), and of them the first ``length`` columns (None: all)."""
        cache, rows = self.cache.rows(index), _Rows(index)
        batch, whole, _ = self.hidden.shape
        kept = whole if length is None else length

        def cut(value: Any) -> Any:
            match value:
                case Tensor():
                    has_rows = value.ndim > 1 and value.shape[0] == batch
                    return _columns(rows.of(value) if has_rows else value, self.column + whole, self.column + kept)
                case FixedPrefix():
                    return cache
                case tuple():
                    return tuple(cut(v) for v in value)
                case dict():
                    return {k: cut(v) for k, v in value.items()}
            return value

        hidden, normed = rows.of(self.hidden)[:, :kept], rows.of(self.normed)[:, :kept]
        before = None if self.before is None else rows.of(self.before)
        return Suffixes(self.decoder, self.first, hidden, cut(self.calls), cache, normed, before)


class _Rows:
    """Chooses rows of tensors that may lie on several devices; the index goes to each of them once."""

    def __init__(self, index: Tensor) -> None:
        self._by_device = {index.device: index}

    def of(self, value: Tensor) -> Tensor:
        if value.device not in self._by_device:
            self._by_device[value.device] = next(iter(self._by_device.values())).to(value.device)
        return value[self._by_device[value.device]]


def _columns(value: Tensor, whole: int, kept: int) -> Tensor:
    """Cut one argument of a layer to its first ``kept`` of ``whole`` columns.

    The argument is a mask (batch, heads, columns, prefix + columns), a rotary table (batch, columns, width), or
    positions (batch, columns) or (columns,). An argument without columns stays as it is.
    """
    if kept == whole:
        return value
    axis = {1: 0, 2: 1, 3: 1, 4: 2}.get(value.ndim, -1)
    if axis < 0 or value.shape[axis] != whole:
        return value
    value = value.narrow(axis, 0, kept)
    return value[..., : value.shape[-1] - (whole - kept)] if value.ndim == 4 else value


def longest_row(decoder: Decoder) -> int:
    """The most tokens of a row that ``prepare_suffixes`` can split: all positions of the model, or half of its sliding
    window."""
    config = decoder.model.config.get_text_config()
    window, positions = getattr(config, "sliding_window", None), getattr(config, "max_position_embeddings", None)
    bounds = [bound for bound in (positions, window // 2 if window else None) if bound]
    return int(min(bounds, default=_UNBOUNDED))


@torch.no_grad()
def prepare_suffixes(decoder: Decoder, rows: Sequence[tuple[Sequence[int], int]], first: int) -> Suffixes:
    """Compute everything that a change from layer ``first`` on, at or after the lookup position, does not reach.

    Prefixes and suffixes are both padded on the right, so that every position has something to attend to (a softmax
    over nothing is not a number). The padding of a prefix is masked for its suffix, and padding takes no positions. But
    padding counts as distance in a sliding window, so a row of more than ``longest_row(decoder)`` tokens would see too
    little.

    Args:
        rows: Token ids and lookup position of each row; the prefix is what stands before that position.
        first: Index of the first layer that is to be run again. The number of layers means that only the final norm is.

    Raises:
        ModelError: a row is longer than ``longest_row(decoder)``.
    """
    if max(len(ids) for ids, _ in rows) > longest_row(decoder):
        raise ModelError(f"A prompt is longer than {longest_row(decoder)} tokens.", next_step="Shorten it.")
    if not decoder.splits:
        return _whole_rows(decoder, rows, first)
    prefix = max(lookup for _, lookup in rows)
    length = max(len(ids) - lookup for ids, lookup in rows)
    device = decoder.model.device
    tokens = torch.zeros(len(rows), length, dtype=torch.long)
    mask = torch.zeros(len(rows), prefix + length, dtype=torch.long)
    lookups = torch.tensor([lookup for _, lookup in rows], device=device)
    for i, (ids, lookup) in enumerate(rows):
        tokens[i, : len(ids) - lookup] = torch.tensor(ids[lookup:])
        mask[i, :lookup] = 1
        mask[i, prefix:] = 1
    cache = _prefixes(decoder, [tuple(ids[:lookup]) for ids, lookup in rows]) if prefix else FixedPrefix()
    inputs = {
        "input_ids": tokens.to(device),
        "attention_mask": mask.to(device),
        "position_ids": lookups[:, None] + torch.arange(length, device=device),
        "past_key_values": cache,
        "use_cache": True,
    }
    recorded = record_calls(decoder, inputs, first)
    cache.forget_below(first)
    normed = decoder.final_norm(recorded.left)
    return Suffixes(decoder, first, recorded.entered, recorded.calls, cache, normed)


def _whole_rows(decoder: Decoder, rows: Sequence[tuple[Sequence[int], int]], first: int) -> Suffixes:
    """The same for a decoder whose layers can't begin in the middle of a text."""
    prefix = max(lookup for _, lookup in rows)
    tokens = torch.zeros(len(rows), prefix + max(len(ids) - lookup for ids, lookup in rows), dtype=torch.long)
    mask = torch.zeros_like(tokens)
    for i, (ids, lookup) in enumerate(rows):
        tokens[i, prefix - lookup : prefix - lookup + len(ids)] = torch.tensor(ids)
        mask[i, prefix - lookup :] = 1
    device = decoder.model.device
    inputs = {
        "input_ids": tokens.to(device),
        "attention_mask": mask.to(device),
        "position_ids": (mask.cumsum(1) - 1).clamp(min=0).to(device),
        "use_cache": False,
    }
    recorded = record_calls(decoder, inputs, first)
    before, hidden = recorded.entered[:, :prefix], recorded.entered[:, prefix:]
    normed = decoder.final_norm(recorded.left[:, prefix:])
    return Suffixes(decoder, first, hidden, recorded.calls, FixedPrefix(), normed, before)


def _prefixes(decoder: Decoder, prefixes: Sequence[tuple[int, ...]]) -> FixedPrefix:
    """Attention's keys and values of the prefixes, padded on the right; equal prefixes are run once."""
    distinct = {ids: n for n, ids in enumerate(dict.fromkeys(prefixes))}
    tokens = torch.zeros(len(distinct), max(map(len, distinct)), dtype=torch.long)
    for ids, n in distinct.items():
        tokens[n, : len(ids)] = torch.tensor(ids)
    filled = DynamicCache()
    decoder.model.base_model(input_ids=tokens.to(decoder.model.device), past_key_values=filled, use_cache=True)
    return FixedPrefix(keys_and_values(filled)).rows(torch.tensor([distinct[ids] for ids in prefixes]))


@dataclass(frozen=True, slots=True)
class LayerCalls:
    """How one pass called a range of layers."""

    entered: Tensor
    """What entered the first of them, (batch, length, d)."""
    left: Tensor
    """What left the last of them, (batch, length, d)."""
    calls: tuple[Call, ...]
    """The other arguments of each of them."""


def record_calls(decoder: Decoder, inputs: dict[str, Any], first: int, last: int | None = None) -> LayerCalls:
    """Run the layers up to ``last`` (None: all), and record the calls from layer ``first`` on.

    Where ``first`` is the number of layers, no call is recorded, and ``entered`` is what left the last layer.
    """
    entered: list[Tensor] = []
    calls: list[Call] = []

    def note(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        rest = dict(kwargs)
        entered.append(args[0] if args else rest.pop("hidden_states"))
        calls.append((args[1:], rest))

    end = len(decoder.layers) - 1 if last is None else last
    with ExitStack() as stack:
        for layer in decoder.layers[first : end + 1]:
            stack.callback(layer.module.register_forward_pre_hook(note, with_kwargs=True).remove)
        left = activations(decoder, inputs, outputs=[end]).outputs[end]
    return LayerCalls(entered[0] if entered else left, left, tuple(calls))
