"""Products of two thin matrices."""

from __future__ import annotations

import torch
from torch import Tensor


def compressed(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of the same product with an inner size of at most ``min(out, in)``.

    Args:
        left: (out, r), float64.
        right: (r, in), float64.

    Returns:
        ``left`` and ``right`` themselves where r is small enough; else the product itself beside an identity, so that
        nothing is lost.
    """
    rows, inner, columns = left.shape[0], left.shape[1], right.shape[1]
    if inner <= min(rows, columns):
        return left, right
    product = left @ right
    if rows <= columns:
        return torch.eye(rows, dtype=torch.float64), product
    return product, torch.eye(columns, dtype=torch.float64)
