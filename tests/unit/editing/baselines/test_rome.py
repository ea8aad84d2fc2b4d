"""ROME: rank-one changes of one layer, as the paper's equations have them."""

from __future__ import annotations

import pytest
import torch

from kbsync.domain.errors import EditError
from kbsync.editing.baselines.rome import rank_one
from kbsync.editing.common.cholesky import factorise
from tests.support.editing_world import assert_papers, edited, editor_for
from tests.support.families import REWRITES, Silent, random_model, recipe


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma2", "gpt-neox"])
def test_rank_one_changes_are_the_papers(family: str) -> None:
    edit, paper, rewrites, (second_moment,) = edited(family, "rome", layers=(1,))
    assert_papers(edit, [paper.rome(rewrites, second_moment)])


def test_rome_edits_one_layer() -> None:
    with pytest.raises(EditError, match="one layer, and the recipe 'test' names 2"):
        editor_for("rome", random_model("llama")).edit(REWRITES, recipe(algorithm="rome"), Silent())


def test_a_key_is_answered_exactly_and_what_is_orthogonal_to_it_under_c_stays() -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(50, 12, dtype=torch.float64, generator=draw)
    covariance, key = x.T @ x / 50, torch.randn(12, dtype=torch.float64, generator=draw)
    residual = torch.randn(8, dtype=torch.float64, generator=draw)
    left, right, ridge = rank_one(factorise(covariance), key, residual)
    assert ridge == 0 and (left.shape, right.shape) == ((8, 1), (1, 12))
    torch.testing.assert_close(left @ right @ key, residual)
    other = torch.randn(12, dtype=torch.float64, generator=draw)
    direction = torch.linalg.solve(covariance, key)
    other -= key * (other @ direction) / (key @ direction)
    torch.testing.assert_close(left @ right @ other, torch.zeros(8, dtype=torch.float64), atol=1e-12, rtol=0)


@pytest.mark.parametrize("key", [torch.zeros(4), torch.full((4,), float("nan"))])
def test_a_key_that_says_nothing_is_refused(key: torch.Tensor) -> None:
    with pytest.raises(EditError, match="non-finite numbers, or nothing"):
        rank_one(factorise(torch.eye(4)), key.double(), torch.ones(3, dtype=torch.float64))
