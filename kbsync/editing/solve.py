"""The closed form of MEMIT: Δ = R Kᵀ (λC + K Kᵀ)⁻¹ (Meng et al., ICLR 2023, equation 14). Pure, in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.errors import EditError

RIDGE_START = 1e-12
"""First ridge that is tried, in units of C's mean diagonal; it grows tenfold until C is positive definite."""
RIDGE_LIMIT = 1e-3
LANCZOS_STEPS = 12


@dataclass(frozen=True, slots=True)
class Span:
    """An operator on the span of a few Lanczos vectors: ``basis`` (d, s), orthonormal, and ``within`` (s, s) = Bᵀ A B.

    The largest eigenvalue of ``within`` is that of A, from below.
    """

    basis: Tensor
    within: Tensor


@dataclass(frozen=True, slots=True)
class Factor:
    """``lower`` (d, d), float64: Cholesky factor of C + ridge·I. It serves every λ, for chol(λC) = sqrt(λ)·chol(C).

    ``high`` and ``low``: C and its inverse where they are largest. They cost some passes over the factor, once, and let
    every solve tell its condition number without another one.
    """

    lower: Tensor
    ridge: float
    high: Span
    low: Span


@dataclass(frozen=True, slots=True)
class Solution:
    """Δ = left (out, r) @ right (r, d), r = min(N, out, d), float64.

    ``condition``: estimated condition number of λC + K Kᵀ; ``ridge``: what was added to its diagonal.
    """

    left: Tensor
    right: Tensor
    condition: float
    ridge: float


def factorise(covariance: Tensor) -> Factor:
    """Factor a (d, d) second moment; a semidefinite one (fewer samples than d) gets the smallest ridge that helps.

    Raises ``EditError`` when it is not finite, not symmetric, or has clearly negative eigenvalues.
    """
    matrix = covariance.double()
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not torch.isfinite(matrix.sum()):
        raise _unsound("is not a square matrix of finite numbers")
    scale = float(matrix.diagonal().mean())
    if scale <= 0 or (matrix - matrix.T).abs_().max() > 1e-6 * scale:
        raise _unsound("is not a second moment: not symmetric, or nothing on its diagonal")
    ridge = 0.0
    while ridge <= RIDGE_LIMIT * scale:
        shifted = matrix
        if ridge:
            shifted = matrix.clone()
            shifted.diagonal().add_(ridge)
        lower, failed = torch.linalg.cholesky_ex(shifted)
        if not failed.any():
            return _factor(lower, ridge)
        ridge = ridge * 10 if ridge else RIDGE_START * scale
    raise _unsound("has negative eigenvalues")


def solve(factor: Factor, weight: float, keys: Tensor, residuals: Tensor, still: Tensor | None = None) -> Solution:
    """Minimise ‖Δ K − R‖² + ‖Δ S‖² + λ tr(Δ C Δᵀ) for keys (d, N), residuals (out, N) and λ = ``weight`` > 0.

    ``still`` (d, G): keys S whose answers must not move, in other words keys with a residual of nothing.
    With fewer facts than dimensions only an N × N system is factored (Woodbury): (A + K Kᵀ)⁻¹ K = A⁻¹K (I + KᵀA⁻¹K)⁻¹.
    """
    K, R = keys.double(), residuals.double()
    wanted = R.shape[1]
    if still is not None:
        K = torch.cat([K, still.double()], dim=1)
        R = torch.nn.functional.pad(R, (0, K.shape[1] - wanted))
    if weight <= 0:
        raise EditError(f"The covariance weight must be above zero, not {weight}.", next_step="Correct the recipe.")
    if not (torch.isfinite(K).all() and torch.isfinite(R).all()):
        raise EditError("Keys or residuals hold non-finite numbers.", next_step="Look at the model and the targets.")
    d, count = K.shape
    if count < d:
        spread = divided(K, factor.lower) / weight
        inner = torch.linalg.cholesky(torch.eye(count, dtype=torch.float64) + K.T @ spread)
        left, right = R, divided(spread.T, inner)
        condition = _condition(factor, weight, K, spread, inner)
    else:
        matrix = weight * (factor.lower @ factor.lower.T) + K @ K.T
        whole = torch.linalg.cholesky(matrix)
        left, right = R, divided(K, whole).T
        condition = _largest(_span(matrix.matmul, d).within) * _largest(_inverse_span(whole).within)
    return Solution(*thin(left[:, :wanted], right[:wanted]), condition=condition, ridge=weight * factor.ridge)


def condition_of(factor: Factor) -> float:
    """Estimated condition number of the factored matrix itself."""
    return _largest(factor.high.within) * _largest(factor.low.within)


def thin(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of the same product whose inner size is not above either outer one."""
    rows, count, columns = left.shape[0], left.shape[1], right.shape[1]
    if count <= min(rows, columns):
        return left, right
    product = left @ right
    if rows <= columns:
        return torch.eye(rows, dtype=torch.float64), product
    return product, torch.eye(columns, dtype=torch.float64)


def divided(x: Tensor, lower: Tensor) -> Tensor:
    """(L Lᵀ)⁻¹ x. Two substitutions, for ``torch.cholesky_solve`` copies L before it begins: at d = 4,096 and N = 100 that
    takes longer than both."""
    half = torch.linalg.solve_triangular(lower, x, upper=False)
    whole: Tensor = torch.linalg.solve_triangular(lower.T, half, upper=True)
    return whole


def _factor(lower: Tensor, ridge: float) -> Factor:
    def forward(x: Tensor) -> Tensor:
        return lower @ (lower.T @ x)

    return Factor(lower, ridge, _span(forward, len(lower)), _inverse_span(lower))


def _condition(factor: Factor, weight: float, K: Tensor, spread: Tensor, inner: Tensor) -> float:
    """Of M = λC + K Kᵀ, from below: M where C is largest, or K Kᵀ, which M is not below, and M⁻¹ (Woodbury) where C's
    inverse is largest. ``spread`` (d, N) is (λC)⁻¹K, ``inner`` the factor of I + Kᵀ(λC)⁻¹K."""
    high, low = factor.high, factor.low
    near = high.basis.T @ K
    largest = max(_largest(weight * high.within + near @ near.T), _largest(K.T @ K))
    drawn = torch.linalg.solve_triangular(inner, spread.T @ low.basis, upper=False)
    return largest * _largest(low.within / weight - drawn.T @ drawn)


def _inverse_span(lower: Tensor) -> Span:
    return _span(lambda x: divided(x, lower), len(lower))


def _span(operator: Callable[[Tensor], Tensor], size: int) -> Span:
    """Lanczos from a fixed start, for a symmetric positive operator on (d, 1).

    At large widths the operator's time is that of reading its matrices, and each step here tells far more than one of
    power iteration.
    """
    start = torch.linspace(1.0, 2.0, size, dtype=torch.float64)
    basis, images = [start / start.norm()], []
    for _ in range(min(LANCZOS_STEPS, size)):
        images.append(operator(basis[-1][:, None])[:, 0])
        known, y = torch.stack(basis), images[-1]
        for _ in range(2):  # once is not enough to keep the basis orthogonal where eigenvalues lie far apart
            y = y - known.T @ (known @ y)
        if y.norm() <= 1e-12 * images[0].norm():
            break
        basis.append(y / y.norm())
    vectors = torch.stack(basis[: len(images)], dim=1)
    within = vectors.T @ torch.stack(images, dim=1)
    return Span(vectors, (within + within.T) / 2)


def _largest(matrix: Tensor) -> float:
    return float(torch.linalg.eigvalsh(matrix)[-1])


def _unsound(reason: str) -> EditError:
    return EditError(
        f"The key covariance {reason}.",
        next_step="Remove it from the artifact store and run again; it is computed anew.",
    )
