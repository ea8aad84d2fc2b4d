"""The closed form against plain inverses, at every shape."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.editing.common.cholesky import factorise
from kbsync.editing.memit.solve import Penalty, closed_form, solve


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def moment(width: int, samples: int) -> Tensor:
    x = random(samples, width, seed=1)
    return x.T @ x / samples


@pytest.mark.parametrize("count", [1, 5, 11, 12, 13, 40])
@pytest.mark.parametrize(("out", "width"), [(12, 12), (8, 12), (12, 8)])
@pytest.mark.parametrize("weight", [1e-3, 1.0, 1e4])
def test_it_is_the_formula(count: int, out: int, width: int, weight: float) -> None:
    C, K, R = moment(width, 50), random(width, count, seed=2), random(out, count, seed=3)
    solution = closed_form(factorise(C), weight, K, R)
    expected = R @ K.T @ torch.linalg.inv(weight * C + K @ K.T)
    torch.testing.assert_close(solution.left @ solution.right, expected, rtol=1e-7, atol=1e-9)
    assert solution.left.shape[1] == solution.right.shape[0] == min(count, out, width)
    assert solution.ridge == 0.0


@pytest.mark.parametrize(("width", "count"), [(12, 5), (12, 20), (300, 1), (300, 40), (300, 150), (300, 400)])
@pytest.mark.parametrize("weight", [1e-2, 10.0, 1e4])
def test_the_condition_number_is_estimated(width: int, count: int, weight: float) -> None:
    C, K = moment(width, 4 * width), random(width, count, seed=2)
    solution = closed_form(factorise(C), weight, K, random(8, count, seed=3))
    expected = float(torch.linalg.cond(weight * C + K @ K.T))
    assert 0.5 * expected <= solution.condition <= 1.001 * expected


def test_the_condition_number_of_an_uneven_spectrum_is_estimated() -> None:
    turn = torch.linalg.qr(random(300, 300, seed=5)).Q
    C = turn @ torch.diag(torch.logspace(-4, 4, 300, dtype=torch.float64)) @ turn.T
    K = random(300, 40, seed=2)
    solution = closed_form(factorise((C + C.T) / 2), 10.0, K, random(8, 40, seed=3))
    expected = float(torch.linalg.cond(10.0 * C + K @ K.T))
    assert 0.3 * expected <= solution.condition <= 1.001 * expected


def test_a_small_weight_reaches_the_target_and_a_large_one_changes_little() -> None:
    C, K, R = moment(12, 50), random(12, 4, seed=2), random(8, 4, seed=3)
    small, large = (closed_form(factorise(C), weight, K, R) for weight in (1e-9, 1e9))
    torch.testing.assert_close(small.left @ small.right @ K, R, rtol=1e-6, atol=1e-6)
    assert (large.left @ large.right).norm() < 1e-6 * R.norm()


def test_a_ridge_is_told_in_the_solutions_units() -> None:
    factor = factorise(moment(12, 5))
    solution = closed_form(factor, 3.0, random(12, 2), random(8, 2))
    assert solution.ridge == 3.0 * factor.ridge > 0
    assert torch.isfinite(solution.left @ solution.right).all()


def test_equal_keys_share_what_they_ask_for() -> None:
    K = random(12, 1).repeat(1, 2)
    R = torch.stack([torch.ones(8), -torch.ones(8)], dim=1).double()
    solution = closed_form(factorise(moment(12, 50)), 1e-6, K, R)
    change = solution.left @ solution.right
    torch.testing.assert_close(change @ K, torch.zeros(8, 2, dtype=torch.float64), atol=1e-6, rtol=0)


def test_non_finite_keys_and_residuals_are_refused() -> None:
    factor, K, R = factorise(torch.eye(4)), random(4, 2), random(3, 2)
    for keys, residuals in ((K * float("inf"), R), (K, R * float("nan"))):
        with pytest.raises(EditError, match="non-finite"):
            closed_form(factor, 1.0, keys, residuals)


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_weight_that_is_not_positive_is_refused(weight: float) -> None:
    with pytest.raises(EditError, match="above zero"):
        closed_form(factorise(torch.eye(4)), weight, random(4, 2), random(3, 2))


@pytest.mark.parametrize("count", [2, 7])
def test_preserved_keys_are_keys_with_nothing_to_change(count: int) -> None:
    C, K, K0, R = moment(12, 50), random(12, count, seed=2), random(12, 6, seed=4), random(8, count, seed=3)
    solution = closed_form(factorise(C), 2.0, K, R, K0)
    expected = R @ K.T @ torch.linalg.inv(2.0 * C + K @ K.T + K0 @ K0.T)
    torch.testing.assert_close(solution.left @ solution.right, expected, rtol=1e-7, atol=1e-9)
    assert solution.left.shape[1] == count
    free = closed_form(factorise(C), 2.0, K, R)
    assert (solution.left @ solution.right @ K0).norm() < 0.7 * (free.left @ free.right @ K0).norm()


@pytest.mark.parametrize("preserved", [None, random(12, 6, seed=4)])
def test_a_change_is_held_to_the_span_of_a_basis(preserved: Tensor | None) -> None:
    """Within the basis it is the same formula in the basis' coordinates."""
    basis = torch.linalg.qr(random(12, 5, seed=6)).Q
    A, K, R = moment(5, 50), random(12, 3, seed=2), random(8, 3, seed=3)
    solution = solve(Penalty(factorise(A), 2.0, basis), K, R, preserved)
    change = solution.left @ solution.right
    torch.testing.assert_close(change @ basis @ basis.T, change)
    inner = 2.0 * A + basis.T @ K @ K.T @ basis
    if preserved is not None:
        inner = inner + basis.T @ preserved @ preserved.T @ basis
    torch.testing.assert_close(change, R @ K.T @ basis @ torch.linalg.inv(inner) @ basis.T)


def test_without_a_basis_it_is_the_closed_form() -> None:
    factor, K, R = factorise(moment(12, 50)), random(12, 3, seed=2), random(8, 3, seed=3)
    one, two = solve(Penalty(factor, 2.0), K, R), closed_form(factor, 2.0, K, R)
    assert torch.equal(one.left, two.left) and torch.equal(one.right, two.right)
