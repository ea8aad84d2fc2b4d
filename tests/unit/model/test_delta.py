"""A delta goes in on copies, and the very same tensors come back."""

import pytest
import torch

from kbsync.domain.errors import EditError
from kbsync.model.decoder import discover
from kbsync.model.delta import FactorDelta, applied
from tests.support.families import FAMILIES, D, M, random_model, same_weights, weights

IDS = torch.tensor([[0, 17, 300, 41, 9]])


def factors(rank: int = 2, scale: float = 0.1) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(D, rank, generator=generator) * scale, torch.randn(rank, M, generator=generator)


@pytest.mark.parametrize("family", FAMILIES)
def test_weights_change_inside_the_block_and_the_same_tensors_come_back(family):
    model = random_model(family)
    down = discover(model).layers[1].down
    before, left_right = weights(model), factors()
    with torch.no_grad():
        plain = model(input_ids=IDS).logits
        with applied(model, FactorDelta({down.name: left_right})):
            changed = down.weight - (before[down.name][1].T if down.transposed else before[down.name][1])
            torch.testing.assert_close(changed, left_right[0] @ left_right[1], rtol=1e-4, atol=1e-5)
            assert not torch.equal(model(input_ids=IDS).logits, plain)
        assert torch.equal(model(input_ids=IDS).logits, plain)
    assert same_weights(model, before)


def test_the_same_tensors_come_back_after_an_error():
    model = random_model("llama")
    before = weights(model)
    with pytest.raises(RuntimeError, match="inside"), applied(model, _delta(model)):
        raise RuntimeError("inside")
    assert same_weights(model, before)


def test_nested_deltas_add_up_and_unwind():
    model = random_model("llama")
    name = discover(model).layers[0].down.name
    before = weights(model)
    with applied(model, _delta(model)), applied(model, _delta(model)):
        left, right = factors()
        torch.testing.assert_close(model.get_parameter(name), before[name][1] + 2 * left @ right, rtol=1e-4, atol=1e-5)
    assert same_weights(model, before)


def test_a_shared_parameter_is_replaced_everywhere():
    model = random_model("llama")
    first, second = model.model.layers[0].mlp.down_proj, model.model.layers[1].mlp.down_proj
    second.weight = first.weight
    with applied(model, _delta(model)):
        assert second.weight is first.weight
        changed = first.weight.clone()
    assert second.weight is first.weight
    assert not torch.equal(first.weight, changed)


def test_bfloat16_weights_are_rounded_once():
    model = random_model("llama", torch.bfloat16)
    name = discover(model).layers[0].down.name
    left, right = factors()
    wanted = (model.get_parameter(name).double() + left.double() @ right.double()).bfloat16()
    with applied(model, FactorDelta({name: (left, right)})):
        assert torch.equal(model.get_parameter(name), wanted)


def test_an_overflowing_edit_changes_nothing():
    model = random_model("llama").half()
    before = weights(model)
    name = discover(random_model("llama")).layers[0].down.name
    huge = FactorDelta({name: (torch.full((D, 1), 1e6), torch.ones(1, M))})
    with pytest.raises(EditError, match="non-finite"), applied(model, huge):
        pytest.fail("the block must not be entered")
    assert same_weights(model, before)


@pytest.mark.parametrize("name", ["model.layers.9.mlp.down_proj.weight", "nowhere.weight", "model.norm.nothing"])
def test_an_unknown_parameter_is_named(name):
    with pytest.raises(EditError, match=name), applied(random_model("llama"), FactorDelta({name: factors()})):
        pytest.fail("the block must not be entered")


def test_a_delta_of_another_shape_is_refused():
    wrong = FactorDelta({"model.norm.weight": factors()})
    with pytest.raises(EditError, match="does not fit"), applied(random_model("llama"), wrong):
        pytest.fail("the block must not be entered")


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        (torch.ones(4, 2), torch.ones(3, 5), "don't fit"),
        (torch.ones(4, 2).double(), torch.ones(2, 5).double(), "not float32"),
        (torch.full((4, 2), float("nan")), torch.ones(2, 5), "non-finite"),
        (torch.ones(4, 2), torch.full((2, 5), float("inf")), "non-finite"),
    ],
)
def test_unsound_factors_are_refused(left, right, words):
    with pytest.raises(EditError, match=words):
        FactorDelta({"some.weight": (left, right)})


def test_parameters_are_sorted_by_name():
    pair = factors()
    assert FactorDelta({"b": pair, "a": pair}).parameters == ("a", "b")


def _delta(model) -> FactorDelta:
    return FactorDelta({discover(model).layers[0].down.name: factors()})
