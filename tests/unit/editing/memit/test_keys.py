"""A key is the mean over kinds of prompts; rows of like length share a batch."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.common.prompts import Prompt
from kbsync.editing.memit import keys
from kbsync.editing.memit.keys import FactVectors, batched, prompt_rows


def prompt(length: int, start: int = 0) -> Prompt:
    """``length`` tokens up to the subject's last one, and three behind it."""
    return Prompt(tuple(range(start, start + length + 3)), length - 1, length + 1)


FACTS = [(prompt(3), prompt(5), prompt(7)), (prompt(4, 100),)]


@pytest.mark.parametrize(
    ("bare_share", "weights"),
    [(0.5, [0.5, 0.25, 0.25, 1.0]), (None, [1 / 3, 1 / 3, 1 / 3, 1.0]), (0.2, [0.2, 0.4, 0.4, 1.0])],
)
def test_the_bare_prompt_has_its_share_and_the_contexts_the_rest(
    bare_share: float | None, weights: list[float]
) -> None:
    rows = prompt_rows(FACTS, bare_share)
    assert [row.weight for row in rows] == pytest.approx(weights)
    assert [(row.fact, row.prompt, len(row.ids)) for row in rows] == [(0, 0, 3), (0, 1, 5), (0, 2, 7), (1, 0, 4)]


def test_bare_prompts_are_apart_and_a_batch_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = prompt_rows(FACTS * 4, 0.5)
    whole = list(batched(rows))
    assert [{row.prompt > 0 for row in batch} for batch in whole] == [{False}, {True}]
    monkeypatch.setattr(keys, "BATCH_TOKENS", 8)
    small = list(batched(rows))
    assert all(len(batch) * max(len(row.ids) for row in batch) <= 8 for batch in small if len(batch) > 1)
    assert sorted(row for batch in small for row in batch) == sorted(rows)


def test_vectors_are_summed_with_their_weights_or_stored_for_bare_prompts() -> None:
    rows = prompt_rows(FACTS, 0.5)
    vectors = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0], [7.0, 8.0]], dtype=torch.bfloat16)
    mean, bare = FactVectors(2), FactVectors(2)
    mean.add_weighted(rows, vectors)
    bare.put_bare(rows, vectors)
    assert mean.tensor.dtype == bare.tensor.dtype == torch.float32
    torch.testing.assert_close(mean.tensor, torch.tensor([[2.5, 3.5], [7.0, 8.0]]))
    torch.testing.assert_close(bare.tensor, torch.tensor([[1.0, 2.0], [7.0, 8.0]]))
