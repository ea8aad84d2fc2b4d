"""The text of the key covariance, as batches of token rows: given texts, or text that the model itself samples.

Both can be left at any batch and taken up again there; the batches that follow are the same.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from transformers import PreTrainedTokenizerFast

from kbsync.editing.common.sampling import opening_ids, sample, seeded
from kbsync.model.decoder import Decoder
from kbsync.text.corpus import texts_hash

WINDOW = 256
"""Tokens of a stretch of text, with what the tokenizer puts in front; fewer for a model that has not so many places."""
BATCH_TOKENS = 4096
SAMPLED_ROWS = 32
SAMPLED_LENGTH = 128
"""Tokens that are drawn for each sampled row, as far as the model has places for them."""
SAMPLED_TOP_K = 50
"""Each token is drawn from this many likeliest ones."""

Batch = list[list[int]]
"""Token rows of like length, each with what the tokenizer puts in front."""


class Corpus(ABC):
    """A budget of tokens, read batch by batch."""

    @abstractmethod
    def batches(self) -> Iterator[Batch]:
        """What is left of the budget, from where the corpus stands."""

    @abstractmethod
    def state(self) -> dict[str, Tensor]:
        """Where the corpus stands after the last batch that was taken: all that ``restore`` needs, as small tensors."""

    @abstractmethod
    def restore(self, state: dict[str, Tensor]) -> None:
        """Stand where another corpus of the same texts, budget and seed stood when it gave ``state``."""


class GivenCorpus(Corpus):
    """Texts in a seeded order, so that a small budget samples all of them, cut into stretches of ``window`` tokens."""

    def __init__(
        self, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], tokens: int, seed: int, window: int = WINDOW
    ) -> None:
        """``tokens``: the budget, without what the tokenizer puts in front."""
        self._batches = _like_length(_stretches(tokenizer, texts, tokens, seed, window))
        self._taken = 0

    def batches(self) -> Iterator[Batch]:
        while self._taken < len(self._batches):
            self._taken += 1
            yield self._batches[self._taken - 1]

    def state(self) -> dict[str, Tensor]:
        return {"taken": torch.tensor(self._taken)}

    def restore(self, state: dict[str, Tensor]) -> None:
        self._taken = int(state["taken"])


class SampledCorpus(Corpus):
    """Text that the model draws from its ``SAMPLED_TOP_K`` likeliest tokens.

    A row ends at its first end-of-text token. Models without a start token begin from the end-of-text token, which is
    how they saw documents begin.
    """

    def __init__(self, decoder: Decoder, tokenizer: PreTrainedTokenizerFast, tokens: int, seed: int) -> None:
        """``tokens``: how many are drawn at least."""
        self._decoder, self._tokens = decoder, tokens
        self._end = tokenizer.eos_token_id
        self._start = opening_ids(tokenizer) or [self._end or 0]
        self._length = min(SAMPLED_LENGTH, _places(decoder) - len(self._start))
        self._generator = seeded(seed)
        self._drawn = 0

    def batches(self) -> Iterator[Batch]:
        while self._drawn < self._tokens:
            prompts = torch.tensor([self._start] * SAMPLED_ROWS, device=self._decoder.model.device)
            rows = sample(self._decoder, prompts, self._length, SAMPLED_TOP_K, self._generator).tolist()
            batch = [_until_end(row, len(self._start), self._end) for row in rows]
            self._drawn += sum(len(row) - len(self._start) for row in batch)
            yield batch

    def state(self) -> dict[str, Tensor]:
        return {"drawn": torch.tensor(self._drawn), "generator": self._generator.get_state()}

    def restore(self, state: dict[str, Tensor]) -> None:
        self._drawn = int(state["drawn"])
        self._generator.set_state(state["generator"])


def corpus(
    decoder: Decoder, tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], tokens: int, seed: int
) -> Corpus:
    """The given texts, or sampled text where there are none."""
    if texts:
        return GivenCorpus(tokenizer, texts, tokens, seed, min(WINDOW, _places(decoder)))
    return SampledCorpus(decoder, tokenizer, tokens, seed)


def identity(texts: Sequence[str]) -> str | list[object]:
    """What tells two corpora apart, beside budget and seed; part of cache keys."""
    return texts_hash(texts) if texts else ["sampled", SAMPLED_LENGTH, SAMPLED_TOP_K]


def _places(decoder: Decoder) -> int:
    """The most tokens that the model can read at once: it has no vectors for further places where it looks them up in a
    table, learned (GPT-2) or computed when it is built (GPT-J).

    Other rotary positions go on, so stretches stay as they are for such a model, and with them the covariance's bits.
    """
    places = getattr(decoder.model.config.get_text_config(), "max_position_embeddings", None)
    learned = sum(isinstance(module, nn.Embedding) for module in decoder.model.modules()) > 1
    computed = any(b.ndim == 2 and len(b) == places and b.is_floating_point() for b in decoder.model.buffers())
    return int(places) if places and (learned or computed) else WINDOW


def _stretches(tokenizer: PreTrainedTokenizerFast, texts: Sequence[str], tokens: int, seed: int, window: int) -> Batch:
    order = list(range(len(texts)))
    random.Random(seed).shuffle(order)
    front = opening_ids(tokenizer)
    step, left = window - len(front), tokens
    rows: Batch = []
    for index in order:
        ids = tokenizer(texts[index], add_special_tokens=False)["input_ids"]
        for begin in range(0, len(ids), step):
            piece = ids[begin : begin + min(step, left)]
            rows.append(front + piece)
            left -= len(piece)
            if left <= 0:
                return rows
    return rows


def _like_length(rows: Batch) -> list[Batch]:
    batches: list[Batch] = []
    for row in sorted(rows, key=len):
        if not batches or (len(batches[-1]) + 1) * len(row) > BATCH_TOKENS:
            batches.append([])
        batches[-1].append(row)
    return batches


def _until_end(row: list[int], begin: int, end: int | None) -> list[int]:
    """The row up to its first end-of-text token at or after ``begin``."""
    for i in range(begin, len(row)):
        if row[i] == end:
            return row[:i]
    return row
