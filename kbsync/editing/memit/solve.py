"""The closed form of MEMIT: Δ = R K₁ᵀ (C₀ + K₁ K₁ᵀ)⁻¹ (Meng et al., ICLR 2023, equation 14). Pure, in float64."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.editing.common.cholesky import Factor, inverse_subspace, inverse_times
from kbsync.editing.common.lanczos import largest_eigenvalue, subspace
from kbsync.editing.common.low_rank import compressed


@dataclass(frozen=True, slots=True)
class Penalty:
    """What a change of a layer costs beside the new facts: ``weight``·tr(Δ A Δᵀ).

    For MEMIT A is the key covariance C and ``weight`` is λ, so that ``weight``·A is the paper's C₀.
    """

    factor: Factor
    """A, factored; (m, m), or (q, q) in the coordinates of ``basis``."""
    weight: float
    """Above zero."""
    basis: Tensor | None = None
    """(m, q), orthonormal, float64: the change is held to its span (AlphaEdit's null space). None: no bound."""


@dataclass(frozen=True, slots=True)
class Solution:
    """Δ = ``left`` @ ``right``."""

    left: Tensor
    """(out, r), float64, with r = min(N, out, m)."""
    right: Tensor
    """(r, m), float64."""
    condition: float
    """Estimated condition number of the matrix that was inverted."""
    ridge: float
    """What was added to the diagonal of that matrix; 0: nothing."""


def solve(penalty: Penalty, keys: Tensor, residuals: Tensor, preserved: Tensor | None = None) -> Solution:
    """The change of one layer: minimises ‖Δ K − R‖² + ‖Δ K₀‖² + weight·tr(Δ A Δᵀ), held to ``penalty.basis``.

    Args:
        penalty: What the change is weighed against.
        keys: K (m, N), the new facts' keys.
        residuals: R (out, N), what the layer's output must change by at each key.
        preserved: K₀ (m, G), keys whose outputs must not move. They are keys with a residual of zero.

    Raises:
        EditError: The weight is not above zero, or keys or residuals are not finite.
    """
    basis = penalty.basis
    if basis is None:
        return closed_form(penalty.factor, penalty.weight, keys, residuals, preserved)
    preserved_within = None if preserved is None else basis.T @ preserved.double()
    within = closed_form(penalty.factor, penalty.weight, basis.T @ keys.double(), residuals, preserved_within)
    return Solution(within.left, within.right @ basis.T, within.condition, within.ridge)


def closed_form(
    factor: Factor, weight: float, keys: Tensor, residuals: Tensor, preserved: Tensor | None = None
) -> Solution:
    """Δ = R Kᵀ (λC + K Kᵀ + K₀ K₀ᵀ)⁻¹ for C as factored and λ = ``weight``; shapes as for ``solve``.

    With fewer keys than dimensions only an N × N system is factored (Woodbury): (A + K Kᵀ)⁻¹ K = A⁻¹K (I + KᵀA⁻¹K)⁻¹.
    """
    K, R = keys.double(), residuals.double()
    count_new = R.shape[1]
    if preserved is not None:
        K = torch.cat([K, preserved.double()], dim=1)
        R = torch.nn.functional.pad(R, (0, K.shape[1] - count_new))
    if weight <= 0:
        raise EditError(f"The covariance weight must be above zero, not {weight}.", next_step="Correct the recipe.")
    if not (torch.isfinite(K).all() and torch.isfinite(R).all()):
        raise EditError("Keys or residuals hold non-finite numbers.", next_step="Look at the model and the targets.")
    width, count = K.shape
    if count < width:
        solved = inverse_times(factor.lower, K) / weight
        inner = torch.linalg.cholesky(torch.eye(count, dtype=torch.float64) + K.T @ solved)
        left, right = R, inverse_times(inner, solved.T)
        condition = _condition(factor, weight, K, solved, inner)
    else:
        matrix = weight * (factor.lower @ factor.lower.T) + K @ K.T
        lower = torch.linalg.cholesky(matrix)
        left, right = R, inverse_times(lower, K).T
        condition = largest_eigenvalue(subspace(matrix.matmul, width).projected)
        condition *= largest_eigenvalue(inverse_subspace(lower).projected)
    return Solution(*compressed(left[:, :count_new], right[:count_new]), condition, ridge=weight * factor.ridge)


def _condition(factor: Factor, weight: float, K: Tensor, solved: Tensor, inner: Tensor) -> float:
    """Estimated condition number of M = λC + K Kᵀ, from below.

    M is estimated where C is largest, or by K Kᵀ, which M is not below; M⁻¹ (Woodbury) where C⁻¹ is largest.
    ``solved`` (d, N) is (λC)⁻¹K, and ``inner`` is the Cholesky factor of I + Kᵀ(λC)⁻¹K.
    """
    largest, smallest = factor.largest, factor.smallest
    near = largest.basis.T @ K
    of_matrix = max(
        largest_eigenvalue(weight * largest.projected + near @ near.T),
        largest_eigenvalue(K.T @ K),
    )
    correction = torch.linalg.solve_triangular(inner, solved.T @ smallest.basis, upper=False)
    return of_matrix * largest_eigenvalue(smallest.projected / weight - correction.T @ correction)
