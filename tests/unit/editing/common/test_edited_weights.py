"""Factors add up in place, the sum rounded once, and the base's own tensors come back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kbsync.editing.common.edited_weights import edited_weights
from kbsync.model.decoder import DecoderLayer, discover
from tests.support.families import random_model, same_weights, weights


def factors(layer: DecoderLayer, rank: int, seed: int) -> tuple[Tensor, Tensor]:
    out, width = layer.down.weight.shape
    draw = torch.Generator().manual_seed(seed)
    shapes = ((out, rank), (rank, width))
    left, right = (0.1 * torch.randn(shape, dtype=torch.float64, generator=draw) for shape in shapes)
    return left, right


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("rank", [2, 30])
def test_changes_of_one_layer_add_up(family: str, rank: int) -> None:
    model = random_model(family)
    layer, other = discover(model).edited_layers((1, 2))
    before, (base, untouched) = weights(model), [x.down.weight.detach().clone() for x in (layer, other)]
    first, second = factors(layer, rank, 1), factors(layer, rank, 2)
    with edited_weights(model) as changed:
        assert changed.hash == ""
        changed.add(layer, *first)
        ratio = changed.add(layer, *second)
        change = first[0] @ first[1] + second[0] @ second[1]
        torch.testing.assert_close(layer.down.weight.double(), base.double() + change, rtol=0, atol=1e-6)
        assert ratio == pytest.approx(float(change.norm() / base.double().norm()), rel=0.2)
        assert torch.equal(other.down.weight, untouched)
        delta = changed.delta()
    assert delta.parameters == (layer.down.name,)
    left, right = delta.factors[layer.down.name]
    torch.testing.assert_close(left.double() @ right.double(), change, rtol=0, atol=1e-5)
    assert left.shape[1] <= min(left.shape[0], right.shape[1])
    assert same_weights(model, before)


def test_the_hash_is_that_of_what_was_added_in_its_order() -> None:
    model = random_model("llama")
    one, two = discover(model).edited_layers((1, 2))
    hashes = []
    for order in ((one, two), (two, one), (one, two)):
        with edited_weights(model) as changed:
            for layer in order:
                changed.add(layer, *factors(layer, 2, layer.index))
            hashes.append(changed.hash)
    assert hashes[0] == hashes[2] != hashes[1] and len(hashes[0]) == 64


def test_the_base_comes_back_after_an_error_too() -> None:
    model = random_model("llama")
    before = weights(model)
    with pytest.raises(RuntimeError, match="on purpose"), edited_weights(model) as changed:
        for layer in discover(model).edited_layers((1, 2)):
            changed.add(layer, *factors(layer, 1, 0))
        raise RuntimeError("on purpose")
    assert same_weights(model, before)
