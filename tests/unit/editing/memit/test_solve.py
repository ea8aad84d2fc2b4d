"""The closed form against plain inverses, at every shape and near singularity."""

import pytest
import torch

from kbsync.domain.errors import EditError
from kbsync.editing.common.cholesky import condition_of, factorise
from kbsync.editing.memit.solve import closed_form


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def moment(d: int, samples: int) -> torch.Tensor:
    x = random(samples, d, seed=1)
    return x.T @ x / samples


@pytest.mark.parametrize("count", [1, 5, 11, 12, 13, 40])
@pytest.mark.parametrize(("out", "d"), [(12, 12), (8, 12), (12, 8)])
@pytest.mark.parametrize("weight", [1e-3, 1.0, 1e4])
def test_equals_the_formula(count, out, d, weight):
    C, K, R = moment(d, 50), random(d, count, seed=2), random(out, count, seed=3)
    got = closed_form(factorise(C), weight, K, R)
    wanted = R @ K.T @ torch.linalg.inv(weight * C + K @ K.T)
    torch.testing.assert_close(got.left @ got.right, wanted, rtol=1e-7, atol=1e-9)
    assert got.left.shape[1] == got.right.shape[0] == min(count, out, d)
    assert got.ridge == 0.0


@pytest.mark.parametrize(("d", "count"), [(12, 5), (12, 20), (300, 1), (300, 40), (300, 150), (300, 400)])
@pytest.mark.parametrize("weight", [1e-2, 10.0, 1e4])
def test_the_condition_number_is_estimated(d, count, weight):
    C, K = moment(d, 4 * d), random(d, count, seed=2)
    got = closed_form(factorise(C), weight, K, random(8, count, seed=3))
    wanted = float(torch.linalg.cond(weight * C + K @ K.T))
    assert 0.5 * wanted <= got.condition <= 1.001 * wanted


def test_the_condition_number_of_an_uneven_spectrum_is_estimated():
    turn = torch.linalg.qr(random(300, 300, seed=5)).Q
    C = turn @ torch.diag(torch.logspace(-4, 4, 300, dtype=torch.float64)) @ turn.T
    K = random(300, 40, seed=2)
    got = closed_form(factorise((C + C.T) / 2), 10.0, K, random(8, 40, seed=3))
    wanted = float(torch.linalg.cond(10.0 * C + K @ K.T))
    assert 0.3 * wanted <= got.condition <= 1.001 * wanted
    assert 0.5 * 1e8 <= condition_of(factorise((C + C.T) / 2)) <= 1.001 * 1e8


def test_a_small_weight_reaches_the_goal_and_a_large_one_changes_little():
    C, K, R = moment(12, 50), random(12, 4, seed=2), random(8, 4, seed=3)
    exact, timid = (closed_form(factorise(C), w, K, R) for w in (1e-9, 1e9))
    torch.testing.assert_close(exact.left @ exact.right @ K, R, rtol=1e-6, atol=1e-6)
    assert (timid.left @ timid.right).norm() < 1e-6 * R.norm()


def test_too_few_samples_get_the_smallest_ridge_that_helps_and_say_so():
    C = moment(12, 5)
    factor = factorise(C)
    assert 0 < factor.ridge <= 1e-9 * float(C.diagonal().mean())
    got = closed_form(factor, 3.0, random(12, 2), random(8, 2))
    assert got.ridge == 3.0 * factor.ridge
    assert torch.isfinite(got.left @ got.right).all()


def test_equal_keys_share_what_they_ask_for():
    K = random(12, 1).repeat(1, 2)
    R = torch.stack([torch.ones(8), -torch.ones(8)], dim=1).double()
    got = closed_form(factorise(moment(12, 50)), 1e-6, K, R)
    torch.testing.assert_close(got.left @ got.right @ K, torch.zeros(8, 2, dtype=torch.float64), atol=1e-6, rtol=0)


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
def test_a_covariance_that_is_none_is_refused(broken):
    with pytest.raises(EditError, match="covariance"):
        factorise(broken)


def test_non_finite_keys_and_residuals_are_refused():
    factor, K, R = factorise(torch.eye(4)), random(4, 2), random(3, 2)
    for keys, residuals in ((K * float("inf"), R), (K, R * float("nan"))):
        with pytest.raises(EditError, match="non-finite"):
            closed_form(factor, 1.0, keys, residuals)


@pytest.mark.parametrize("weight", [0.0, -1.0])
def test_a_weight_that_is_not_positive_is_refused(weight):
    with pytest.raises(EditError, match="above zero"):
        closed_form(factorise(torch.eye(4)), weight, random(4, 2), random(3, 2))


@pytest.mark.parametrize("count", [2, 7])
def test_keys_that_stay_still_are_keys_with_nothing_to_change(count):
    C, K, S, R = moment(12, 50), random(12, count, seed=2), random(12, 6, seed=4), random(8, count, seed=3)
    got = closed_form(factorise(C), 2.0, K, R, S)
    wanted = R @ K.T @ torch.linalg.inv(2.0 * C + K @ K.T + S @ S.T)
    torch.testing.assert_close(got.left @ got.right, wanted, rtol=1e-7, atol=1e-9)
    assert got.left.shape[1] == count
    free = closed_form(factorise(C), 2.0, K, R)
    assert (got.left @ got.right @ S).norm() < 0.7 * (free.left @ free.right @ S).norm()
