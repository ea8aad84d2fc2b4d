"""The parts of a fact's gradient make up the gradient that autograd gives."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from kbsync.editing.memit.distributions import target_nll
from kbsync.editing.mend.gradients import adding, token_gradients
from kbsync.model.hooks import frozen
from tests.support.families import random_model, same_weights, weights
from tests.support.mend_world import examples, maps_of, mend_recipe


@pytest.mark.parametrize(("family", "count"), [("llama", 6), ("gpt2", 4)])
def test_they_add_up_to_the_gradient_of_the_weights(family: str, count: int) -> None:
    model = random_model(family, torch.float64)
    decoder, maps = maps_of(model, mend_recipe())
    assert len(maps) == count, "gate, up and down, or in and out, of two blocks"
    prompts = [e.edit for e in examples()]
    with frozen(model):
        found, nll = token_gradients(decoder, maps, prompts)
    for n, prompt in enumerate(prompts):
        model.zero_grad()
        loss = target_nll(decoder, [prompt]).mean.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        assert nll[n] == pytest.approx(float(loss.detach()), rel=1e-9)
        for one in maps:
            gradient = one.module.weight.grad
            assert isinstance(gradient, torch.Tensor)
            gradient = gradient if isinstance(one.module, nn.Linear) else gradient.T
            parts = found[n][one.name]
            made = parts.by_outputs.T @ parts.inputs
            assert (made - gradient).norm() <= 1e-9 * gradient.norm()
            assert len(parts.inputs) < len(prompt.ids), "tokens behind the last prediction have no part in it"


def test_a_change_is_added_and_taken_away() -> None:
    model = random_model("llama")
    decoder, maps = maps_of(model, mend_recipe())
    before, prompts = weights(model), [e.edit for e in examples()]
    draw = torch.Generator().manual_seed(0)
    changes = {
        one.name: (
            0.1 * torch.randn(one.weight.shape[0], 2, generator=draw),
            torch.randn(2, one.weight.shape[1], generator=draw),
        )
        for one in maps
    }
    with torch.no_grad():
        plainly = target_nll(decoder, prompts).mean
        with adding(changes, maps):
            changed = target_nll(decoder, prompts).mean
        for one in maps:
            left, right = changes[one.name]
            one.module.weight.add_(left @ right)  # type: ignore[operator]
        torch.testing.assert_close(changed, target_nll(decoder, prompts).mean)
        for one in maps:
            left, right = changes[one.name]
            one.module.weight.sub_(left @ right)  # type: ignore[operator]
        assert not torch.allclose(changed, plainly)
    assert before.keys() == weights(model).keys() and not same_weights(random_model("gpt2"), before)
