"""Factors whose inner size is too large become an equal product of fewer columns."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.common.low_rank import compressed


@pytest.mark.parametrize(
    ("out", "inner", "width", "kept"), [(4, 9, 6, 4), (6, 9, 4, 4), (4, 3, 6, 3), (5, 5, 5, 5), (3, 8, 3, 3)]
)
def test_the_product_stays_and_the_inner_size_is_bounded(out: int, inner: int, width: int, kept: int) -> None:
    draw = torch.Generator().manual_seed(0)
    left = torch.randn(out, inner, dtype=torch.float64, generator=draw)
    right = torch.randn(inner, width, dtype=torch.float64, generator=draw)
    thin_left, thin_right = compressed(left, right)
    torch.testing.assert_close(thin_left @ thin_right, left @ right)
    assert thin_left.shape == (out, kept) and thin_right.shape == (kept, width)
    if inner == kept:
        assert thin_left is left and thin_right is right
