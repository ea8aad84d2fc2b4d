"""What a refinement practises with: unrounded weights, and weights as forms of serving round them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kbsync.editing.memit.served_views import Factors, practised_views
from kbsync.model.decoder import Decoder, discover
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.hooks import frozen
from kbsync.model.rounding import in_place, rounded_weights
from tests.support.families import D, M, random_model, same_weights, weights

IDS = torch.tensor([[5, 6, 7, 8]])


def world(family: str = "llama") -> tuple[Any, Decoder, dict[str, Factors]]:
    model = random_model(family)
    decoder, draw = discover(model), torch.Generator().manual_seed(1)
    layers = decoder.edited_layers((1, 2))
    return model, decoder, {
        layer.down.name: Factors(torch.randn(D, 3, generator=draw) / 5, torch.randn(3, M, generator=draw) / 5)
        for layer in layers
    }  # fmt: skip


def said(model: Any) -> Tensor:
    return torch.as_tensor(model(IDS).logits)


@pytest.mark.parametrize("family", ["llama", "gpt2"])
def test_each_view_answers_as_the_form_does(family: str) -> None:
    model, decoder, factors = world(family)
    before = weights(model)
    delta = FactorDelta({name: (f.left, f.right) for name, f in factors.items()})
    forms = ("bfloat16", "q4_0", "q4_0+lora")
    plain, rounded, blocks, beside = practised_views(model, decoder.edited_layers((1, 2)), forms)
    with torch.no_grad(), frozen(model):
        with applied(model, delta):
            expected = said(model)
            with in_place(model, rounded_weights(model, "bfloat16")):
                expected_rounded = said(model)
            with in_place(model, rounded_weights(model, "q4_0")):
                expected_blocks = said(model)
        assert not torch.allclose(expected, expected_rounded, atol=1e-4)
        with in_place(model, rounded_weights(model, "q4_0")), applied(model, delta):
            expected_beside = said(model)
        all_expected = (expected, expected_rounded, expected_blocks, expected_beside)
        for view, wanted in zip((plain, rounded, blocks, beside), all_expected, strict=True):
            with view.in_place(factors):
                torch.testing.assert_close(said(model), wanted, rtol=1e-4, atol=1e-5)
    assert same_weights(model, before)


def test_a_view_sees_factors_as_they_are_when_it_is_entered() -> None:
    model, decoder, factors = world()
    (_, view) = practised_views(model, decoder.edited_layers((1, 2)), ("bfloat16",))
    with torch.no_grad(), frozen(model):
        with view.in_place(factors):
            first = said(model)
        for f in factors.values():
            f.left.mul_(2)
        with view.in_place(factors):
            assert not torch.allclose(said(model), first, atol=1e-3)


def test_the_gradient_goes_straight_through_the_rounding() -> None:
    """By L it is G Rᵀ, G being the gradient by the rounded weight."""
    model, decoder, factors = world()
    layers = decoder.edited_layers((1, 2))
    (_, view) = practised_views(model, layers, ("bfloat16",))

    def loss() -> Tensor:
        return said(model).log_softmax(-1)[0, -1, 9]

    with frozen(model):
        with view.in_place({name: Factors(f.left.requires_grad_(), f.right) for name, f in factors.items()}):
            found = torch.autograd.grad(loss(), [f.left for f in factors.values()])
        delta = FactorDelta({name: (f.left.detach(), f.right) for name, f in factors.items()})
        with applied(model, delta), in_place(model, rounded_weights(model, "bfloat16")):
            edited = [model.get_parameter(layer.down.name).requires_grad_() for layer in layers]
            by_weight = torch.autograd.grad(loss(), edited)
    for gradient, whole, f in zip(found, by_weight, factors.values(), strict=True):
        assert gradient.norm() > 0
        torch.testing.assert_close(gradient, whole @ f.right.T, rtol=1e-4, atol=1e-6)
