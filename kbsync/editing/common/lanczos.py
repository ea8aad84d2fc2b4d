"""Extreme eigenvalues of large symmetric matrices, estimated by the Lanczos method in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

STEPS = 12
"""Vectors in a subspace: each needs one product with the matrix."""
EXHAUSTED = 1e-12
"""A new vector this much smaller than the first product lies in the subspace already."""


@dataclass(frozen=True, slots=True)
class Subspace:
    """A symmetric operator A, projected onto the span of a few Lanczos vectors."""

    basis: Tensor
    """B (d, s), orthonormal columns, float64."""
    projected: Tensor
    """Bᵀ A B (s, s), float64. Its largest eigenvalue is a lower bound of A's, and close to it."""


def subspace(operator: Callable[[Tensor], Tensor], size: int) -> Subspace:
    """Project a symmetric positive operator.

    At large widths an operator's time is that of reading its matrices, and one step here tells far more than one step
    of power iteration. The start vector is fixed, so the same operator always gives the same subspace.

    Args:
        operator: Maps a vector (d, 1), float64, to A times that vector.
        size: d.
    """
    start = torch.linspace(1.0, 2.0, size, dtype=torch.float64)
    basis, products = [start / start.norm()], []
    for _ in range(min(STEPS, size)):
        products.append(operator(basis[-1][:, None])[:, 0])
        known, rest = torch.stack(basis), products[-1]
        for _ in range(2):  # once does not keep the basis orthogonal where eigenvalues lie far apart
            rest = rest - known.T @ (known @ rest)
        if rest.norm() <= EXHAUSTED * products[0].norm():
            break
        basis.append(rest / rest.norm())
    vectors = torch.stack(basis[: len(products)], dim=1)
    projected = vectors.T @ torch.stack(products, dim=1)
    return Subspace(vectors, (projected + projected.T) / 2)


def largest_eigenvalue(matrix: Tensor) -> float:
    """Of a small symmetric matrix (s, s)."""
    return float(torch.linalg.eigvalsh(matrix)[-1])
