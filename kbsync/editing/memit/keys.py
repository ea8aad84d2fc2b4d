"""Keys: the down projection's input at the subject's last token, averaged over a fact's prompts.

Source: MEMIT, equation 19 (the mean over contexts x_j of k(x_j + s)). The bare prompt and the contexts are two kinds of
template, and the published code takes the mean over kinds: ½ for the bare prompt, ½ for all contexts together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from kbsync.editing.common.prompts import Prompt

BATCH_TOKENS = 4096


class PromptRow(NamedTuple):
    """One prompt up to its lookup token, as a row of a batch."""

    fact: int
    """Index of the fact."""
    prompt: int
    """Index of the prompt among the fact's; 0 is the bare one."""
    weight: float
    """Share of this prompt in the fact's key; a fact's shares sum to 1."""
    ids: tuple[int, ...]
    """Token ids up to the subject's last token."""


def prompt_rows(facts: Sequence[Sequence[Prompt]], bare_share: float | None) -> list[PromptRow]:
    """All prompts of all facts (each fact's bare prompt first).

    Args:
        bare_share: Weight of the bare prompt in a key; None: that of any other prompt.
    """
    return [
        PromptRow(fact, index, _weight(index, len(prompts), bare_share), prompt.key_ids)
        for fact, prompts in enumerate(facts)
        for index, prompt in enumerate(prompts)
    ]


def batched(rows: Sequence[PromptRow]) -> Iterator[list[PromptRow]]:
    """Batches of rows of like length, so that little is padded; bare prompts are apart from those with a context,
    because the residual stream is read at bare prompts only."""
    batch: list[PromptRow] = []
    for row in sorted(rows, key=lambda r: (r.prompt > 0, len(r.ids), r.ids, r.fact, r.prompt)):
        other_kind = batch and (batch[0].prompt > 0) != (row.prompt > 0)
        if other_kind or (batch and (len(batch) + 1) * len(row.ids) > BATCH_TOKENS):
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch


class FactVectors:
    """Collects vectors of rows into one tensor by fact: on the CPU, at least float32."""

    def __init__(self, facts: int) -> None:
        self.tensor = torch.empty(0)
        """(N, width), once a row was added."""
        self._facts = facts

    def add_weighted(self, rows: Sequence[PromptRow], vectors: Tensor) -> None:
        """Add each row's vector (rows, width) to its fact, with the row's weight: the mean over a fact's prompts."""
        for row, vector in zip(rows, self._on_cpu(vectors), strict=True):
            self.tensor[row.fact] += row.weight * vector

    def put_bare(self, rows: Sequence[PromptRow], vectors: Tensor) -> None:
        """Store the vectors (rows, width) of bare prompts; other rows are passed over."""
        for row, vector in zip(rows, self._on_cpu(vectors), strict=True):
            if row.prompt == 0:
                self.tensor[row.fact] = vector

    def _on_cpu(self, vectors: Tensor) -> Tensor:
        wide = vectors.to("cpu", torch.promote_types(vectors.dtype, torch.float32))
        if not self.tensor.numel():
            self.tensor = torch.zeros(self._facts, wide.shape[1], dtype=wide.dtype)
        return wide


def _weight(prompt: int, count: int, bare_share: float | None) -> float:
    if bare_share is None or count == 1:
        return 1.0 / count
    return bare_share if prompt == 0 else (1.0 - bare_share) / (count - 1)
