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
class Factor:
    """``lower`` (d, d), float64: Cholesky factor of C + ridge·I. It serves every λ, for chol(λC) = sqrt(λ)·chol(C)."""

    lower: Tensor
    ridge: float


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
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or not torch.isfinite(matrix).all():
        raise _unsound("is not a square matrix of finite numbers")
    scale = float(matrix.diagonal().mean())
    if scale <= 0 or not torch.allclose(matrix, matrix.T, rtol=0, atol=1e-6 * scale):
        raise _unsound("is not a second moment: not symmetric, or nothing on its diagonal")
    ridge = 0.0
    while ridge <= RIDGE_LIMIT * scale:
        shifted = matrix + ridge * torch.eye(len(matrix), dtype=torch.float64)
        lower, failed = torch.linalg.cholesky_ex(shifted)
        if not failed.any():
            return Factor(lower, ridge)
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
        spread = torch.cholesky_solve(K, factor.lower) / weight
        inner = torch.linalg.cholesky(torch.eye(count, dtype=torch.float64) + K.T @ spread)
        left, right = R, torch.cholesky_solve(spread.T.contiguous(), inner)

        def inverse(x: Tensor) -> Tensor:
            plain = torch.cholesky_solve(x, factor.lower) / weight
            return plain - spread @ torch.cholesky_solve(K.T @ plain, inner)

    else:
        whole = torch.linalg.cholesky(weight * (factor.lower @ factor.lower.T) + K @ K.T)
        left, right = R, torch.cholesky_solve(K, whole).T.contiguous()

        def inverse(x: Tensor) -> Tensor:
            return torch.cholesky_solve(x, whole)

    def forward(x: Tensor) -> Tensor:
        return weight * (factor.lower @ (factor.lower.T @ x)) + K @ (K.T @ x)

    condition = _largest(forward, d) * _largest(inverse, d)
    return Solution(*thin(left[:, :wanted], right[:wanted]), condition=condition, ridge=weight * factor.ridge)


def condition_of(factor: Factor) -> float:
    """Estimated condition number of the factored matrix itself."""
    lower = factor.lower

    def forward(x: Tensor) -> Tensor:
        return lower @ (lower.T @ x)

    def inverse(x: Tensor) -> Tensor:
        return torch.cholesky_solve(x, lower)

    return _largest(forward, len(lower)) * _largest(inverse, len(lower))


def thin(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    """Factors of the same product whose inner size is not above either outer one."""
    rows, count, columns = left.shape[0], left.shape[1], right.shape[1]
    if count <= min(rows, columns):
        return left, right
    product = left @ right
    if rows <= columns:
        return torch.eye(rows, dtype=torch.float64), product
    return product, torch.eye(columns, dtype=torch.float64)


def _largest(operator: Callable[[Tensor], Tensor], size: int) -> float:
    """Largest eigenvalue of a symmetric positive operator, from below: Lanczos from a fixed start.

    At large widths the operator's time is that of reading its matrices, and each step here tells far more than one of
    power iteration.
    """
    start = torch.linspace(1.0, 2.0, size, dtype=torch.float64)
    basis = [start / start.norm()]
    diagonal: list[float] = []
    beside: list[float] = []
    for _ in range(min(LANCZOS_STEPS, size)):
        y = operator(basis[-1][:, None])[:, 0]
        diagonal.append(float(basis[-1] @ y))
        known = torch.stack(basis)
        for _ in range(2):  # once is not enough to keep the basis orthogonal where eigenvalues lie far apart
            y = y - known.T @ (known @ y)
        beside.append(float(y.norm()))
        if beside[-1] <= 1e-12 * abs(diagonal[0]):
            break
        basis.append(y / beside[-1])
    small = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
    for n, value in enumerate(beside[: len(diagonal) - 1]):
        small[n, n + 1] = small[n + 1, n] = value
    return float(torch.linalg.eigvalsh(small)[-1])


def _unsound(reason: str) -> EditError:
    return EditError(
        f"The key covariance {reason}.",
        next_step="Remove it from the artifact store and run again; it is computed anew.",
    )
