"""The key covariance C as a Cholesky factor, which every solve and every condition number shares. Float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.editing.common.lanczos import Subspace, largest_eigenvalue, subspace

RIDGE_START = 1e-12
"""First ridge that is tried, in units of C's mean diagonal entry; it grows tenfold until C is positive definite."""
RIDGE_LIMIT = 1e-3
"""Largest ridge that is tried, in the same units."""


@dataclass(frozen=True, slots=True)
class Factor:
    """C + ridge·I = L Lᵀ. One factor serves every λ, because chol(λC) = √λ·chol(C)."""

    lower: Tensor
    """L (d, d), lower triangular, float64."""
    ridge: float
    """What was added to C's diagonal; 0 where C is positive definite as it is."""
    largest: Subspace
    """C where it is largest. Found once for each factor, so that a solve can estimate its condition number without
    reading the factor again."""
    smallest: Subspace
    """C⁻¹ where it is largest, which is where C is smallest."""


def factorise(covariance: Tensor) -> Factor:
    """Factor a second moment (d, d); a semidefinite one (fewer samples than d) gets the smallest ridge that helps.

    Raises:
        EditError: The matrix is not finite, not symmetric, or has clearly negative eigenvalues.
    """
    matrix = covariance.double()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not torch.isfinite(matrix.sum()):
        raise _unsound("is not a square matrix of finite numbers")
    scale = float(matrix.diagonal().mean())
    if scale <= 0 or (matrix - matrix.T).abs_().max() > 1e-6 * scale:
        raise _unsound("is not a second moment: it is not symmetric, or its diagonal is zero")
    ridge = 0.0
    while ridge <= RIDGE_LIMIT * scale:
        lower = _cholesky(matrix, ridge)
        if lower is not None:
            return _factor(lower, ridge)
        ridge = ridge * 10 if ridge else RIDGE_START * scale
    raise _unsound("has negative eigenvalues")


def _cholesky(matrix: Tensor, ridge: float) -> Tensor | None:
    """The lower factor of the matrix with ``ridge`` on its diagonal; None where that is not positive definite.

    The ridge is put on the matrix's own diagonal and taken off again, since a copy may be a third of the model's size.
    """
    diagonal = matrix.diagonal().clone()
    try:
        matrix.diagonal().add_(ridge)
        lower, failed = torch.linalg.cholesky_ex(matrix)
    finally:
        matrix.diagonal().copy_(diagonal)
    return None if failed.any() else lower


def condition_of(factor: Factor) -> float:
    """Estimated condition number of the factored matrix, from below."""
    return largest_eigenvalue(factor.largest.projected) * largest_eigenvalue(factor.smallest.projected)


def inverse_times(lower: Tensor, x: Tensor) -> Tensor:
    """(L Lᵀ)⁻¹ x for ``lower`` (d, d) and ``x`` (d, n).

    Two substitutions instead of ``torch.cholesky_solve``, which copies L before it begins: at d = 4,096 and n = 100 the
    copy takes longer than both substitutions.
    """
    half = torch.linalg.solve_triangular(lower, x, upper=False)
    whole: Tensor = torch.linalg.solve_triangular(lower.T, half, upper=True)
    return whole


def inverse_subspace(lower: Tensor) -> Subspace:
    """(L Lᵀ)⁻¹ where it is largest."""
    return subspace(lambda x: inverse_times(lower, x), len(lower))


def _factor(lower: Tensor, ridge: float) -> Factor:
    largest = subspace(lambda x: lower @ (lower.T @ x), len(lower))
    return Factor(lower, ridge, largest, inverse_subspace(lower))


def _unsound(reason: str) -> EditError:
    return EditError(
        f"The key covariance {reason}.",
        next_step="Remove it from the artifact store and run again; it is computed anew.",
    )
