"""Every target token of every prompt is read once, and a fact's weights sum to one."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.common.prompts import Prompt
from kbsync.editing.common.target_positions import target_positions

FACTS = [
    (Prompt((10, 11, 12, 13, 14), 1, 3), Prompt((9, 10, 11, 12, 13, 14), 2, 4)),
    (Prompt((20, 21, 22), 0, 2), Prompt((9, 20, 21, 22), 1, 3)),
]
"""Two facts of two prompts; targets of two tokens and of one."""


@pytest.mark.parametrize(("from_lookup", "columns"), [(True, [1, 2, 1, 2, 1, 1]), (False, [2, 3, 3, 4, 1, 2])])
def test_a_token_is_read_at_the_one_before_it(from_lookup: bool, columns: list[int]) -> None:
    positions = target_positions(FACTS, from_lookup=from_lookup)
    assert positions.row.tolist() == [0, 0, 1, 1, 2, 3]
    assert positions.column.tolist() == columns
    assert positions.token.tolist() == [13, 14, 13, 14, 22, 22]
    assert positions.fact.tolist() == [0, 0, 0, 0, 1, 1]
    assert positions.weight.tolist() == [0.25, 0.25, 0.25, 0.25, 0.5, 0.5]


def test_what_is_kept_is_renumbered() -> None:
    whole = target_positions(FACTS, from_lookup=True)
    positions = whole.keep(torch.tensor([1, 2]), torch.tensor([0, 1]))
    assert positions.row.tolist() == [0, 0, 1] and positions.fact.tolist() == [0, 0, 1]
    assert positions.token.tolist() == [13, 14, 22]
    assert positions.weight.tolist() == [0.5, 0.5, 1.0], "the mean over the prompts that are kept"
    again = whole.keep(torch.arange(4), torch.tensor([0, 0, 1, 1]))
    for name in ("row", "column", "token", "fact", "per_token", "weight"):
        assert torch.equal(getattr(whole, name), getattr(again, name))


def test_facts_may_have_different_numbers_of_prompts() -> None:
    positions = target_positions([FACTS[0], FACTS[1][:1]], from_lookup=True)
    assert positions.row.tolist() == [0, 0, 1, 1, 2] and positions.weight.tolist() == [0.25, 0.25, 0.25, 0.25, 1.0]
