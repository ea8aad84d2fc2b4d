"""A second moment is factored, with the smallest ridge that helps; what is none is refused."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.editing.common.cholesky import condition_of, factorise, inverse_times


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def moment(width: int, samples: int) -> Tensor:
    x = random(samples, width, seed=1)
    return x.T @ x / samples


def test_the_factor_is_the_matrixs_and_divides_by_it() -> None:
    C, x = moment(12, 50), random(12, 3)
    factor = factorise(C)
    torch.testing.assert_close(factor.lower @ factor.lower.T, C)
    torch.testing.assert_close(inverse_times(factor.lower, x), torch.linalg.solve(C, x))
    assert factor.ridge == 0.0


def test_too_few_samples_get_the_smallest_ridge_that_helps() -> None:
    C = moment(12, 5)
    before = C.clone()
    factor = factorise(C)
    assert torch.equal(C, before), "the ridge is taken off again"
    assert 0 < factor.ridge <= 1e-9 * float(C.diagonal().mean())
    with_ridge = C + factor.ridge * torch.eye(12, dtype=torch.float64)
    torch.testing.assert_close(factor.lower @ factor.lower.T, with_ridge)


def test_the_condition_number_of_an_uneven_spectrum_is_estimated_from_below() -> None:
    turn = torch.linalg.qr(random(300, 300, seed=5)).Q
    C = turn @ torch.diag(torch.logspace(-4, 4, 300, dtype=torch.float64)) @ turn.T
    assert 0.5 * 1e8 <= condition_of(factorise((C + C.T) / 2)) <= 1.001 * 1e8


@pytest.mark.parametrize(
    "broken",
    [
        torch.full((4, 4), float("nan")),
        torch.eye(4)[:3],
        -torch.eye(4),
        torch.zeros(4, 4),
        torch.diag(torch.tensor([1.0, 1.0, 1.0, -0.5])),
        torch.eye(4) + torch.triu(torch.ones(4, 4), 1),
    ],
    ids=["nan", "shape", "negative", "zero", "indefinite", "asymmetric"],
)
def test_a_covariance_that_is_none_is_refused(broken: Tensor) -> None:
    with pytest.raises(EditError, match="covariance"):
        factorise(broken)
