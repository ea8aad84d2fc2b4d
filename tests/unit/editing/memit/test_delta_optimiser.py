"""Each fact's δ takes the steps that torch's Adam would take, or those along its gradient, within its ball."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.memit.delta_optimiser import DeltaOptimiser, steepest
from tests.support.families import recipe


def random(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("relative", [True, False])
def test_adam_is_torchs_in_units_of_h0(relative: bool) -> None:
    """δ = unit·x with x under plain Adam."""
    init, r = random(3, 2, 8), recipe(learning_rate=0.01, clamp=1e9, relative_step=relative)
    ours = DeltaOptimiser(init, r)
    unit = init.norm(dim=-1, keepdim=True) / 8**0.5 if relative else torch.ones(3, 2, 1, dtype=torch.float64)
    x = torch.zeros_like(init, requires_grad=True)
    adam = torch.optim.Adam([x], lr=0.01)
    for n in range(5):
        gradient = random(3, 2, 8, seed=n + 1)
        x.grad = gradient * unit
        adam.step()
        ours.steps += 1
        ours.update(torch.arange(3), ours.steps, gradient)
    torch.testing.assert_close(ours.delta, (unit * x).detach())


def test_facts_step_apart() -> None:
    init, r = random(3, 1, 4), recipe(learning_rate=0.1, clamp=1e9)
    together, apart = DeltaOptimiser(init, r), DeltaOptimiser(init, r)
    gradients = [random(3, 1, 4, seed=n) for n in range(2)]
    for gradient in gradients:
        together.steps += 1
        together.update(torch.arange(3), together.steps, gradient)
    for fact in (2, 0, 1):
        for gradient in gradients:
            apart.steps[fact] += 1
            apart.update(torch.tensor([fact]), apart.steps[[fact]], gradient[[fact]])
    torch.testing.assert_close(together.delta, apart.delta)


def test_the_clamp_bounds_each_site_by_its_own_norm() -> None:
    init = random(2, 3, 5)
    optimiser = DeltaOptimiser(init, recipe(clamp=0.2, learning_rate=50.0))
    optimiser.steps += 1
    optimiser.update(torch.arange(2), optimiser.steps, random(2, 3, 5, seed=1))
    torch.testing.assert_close(optimiser.delta.norm(dim=-1), 0.2 * init.norm(dim=-1))


def test_what_is_kept_goes_on_as_before() -> None:
    init, r = random(3, 1, 4), recipe(learning_rate=0.1)
    whole, some = DeltaOptimiser(init, r), DeltaOptimiser(init, r)
    for optimiser in (whole, some):
        optimiser.steps += 1
        optimiser.update(torch.arange(3), optimiser.steps, random(3, 1, 4, seed=1))
    some.keep(torch.tensor([0, 2]))
    second = random(3, 1, 4, seed=2)
    whole.steps += 1
    some.steps += 1
    whole.update(torch.arange(3), whole.steps, second)
    some.update(torch.arange(2), some.steps, second[[0, 2]])
    torch.testing.assert_close(some.delta, whole.delta[[0, 2]])


def test_a_steepest_step_follows_the_gradient_and_is_as_long_as_adams_first() -> None:
    gradient = random(3, 2, 8)
    direction = steepest(gradient)
    torch.testing.assert_close(direction.flatten(1).norm(dim=1), torch.full((3,), 16**0.5, dtype=torch.float64))
    cosine = torch.nn.functional.cosine_similarity(direction.flatten(1), gradient.flatten(1))
    torch.testing.assert_close(cosine, torch.ones(3, dtype=torch.float64))


def test_where_nothing_pulls_nothing_moves() -> None:
    assert torch.equal(steepest(torch.zeros(1, 2, 8)), torch.zeros(1, 2, 8))
