"""The largest eigenvalue is found from a few products with the matrix, and never overestimated."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.common.lanczos import STEPS, largest_eigenvalue, subspace


@pytest.mark.parametrize("size", [1, 2, 5, 12, 200])
@pytest.mark.parametrize("spread", [0.0, 2.0, 8.0])
def test_the_largest_eigenvalue_is_close_and_from_below(size: int, spread: float) -> None:
    draw = torch.Generator().manual_seed(size)
    turn = torch.linalg.qr(torch.randn(size, size, dtype=torch.float64, generator=draw)).Q
    values = torch.logspace(-spread / 2, spread / 2, size, dtype=torch.float64)
    matrix = turn @ torch.diag(values) @ turn.T
    found = subspace(matrix.matmul, size)
    largest = float(values.max())
    assert 0.9 * largest <= largest_eigenvalue(found.projected) <= largest * (1 + 1e-9)
    steps = found.basis.shape[1]
    assert 1 <= steps <= min(STEPS, size)
    torch.testing.assert_close(found.basis.T @ found.basis, torch.eye(steps, dtype=torch.float64))
    torch.testing.assert_close(found.projected, found.basis.T @ matrix @ found.basis, rtol=1e-8, atol=1e-8 * largest)


def test_a_subspace_that_is_exhausted_ends_early() -> None:
    """Of a multiple of the identity one vector tells all."""
    found = subspace(lambda x: 3.0 * x, 50)
    assert found.basis.shape == (50, 1) and largest_eigenvalue(found.projected) == pytest.approx(3.0)


def test_it_costs_a_product_a_step() -> None:
    calls: list[int] = []

    def operator(x: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        return torch.arange(1.0, 101.0, dtype=torch.float64)[:, None] * x

    subspace(operator, 100)
    assert len(calls) == STEPS
