"""Hooks see what the model computes, stop where they are told, and change only what they are told."""

import pytest
import torch

from kbsync.editing.common.cholesky import factorise
from kbsync.editing.memit.solve import closed_form
from kbsync.model.decoder import discover, first_tensor
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.hooks import activations, add_to_output, frozen, perturb, record_activations, restrict_logits
from tests.support.families import FAMILIES, D, random_model

IDS = torch.tensor([[0, 17, 300, 41, 9, 77, 250]])
PLACE, LAYER = 3, 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=["f64", "f32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_keys_downs_and_outputs_are_recorded(family, dtype):
    model = random_model(family, dtype)
    decoder = discover(model)
    with torch.no_grad():
        seen = activations(decoder, {"input_ids": IDS, "use_cache": False}, keys=[0, 2], outputs=[1], downs=[2])
        states = model(input_ids=IDS, output_hidden_states=True).hidden_states
        down = decoder.layers[2].down
        bias = getattr(down.module, "bias", None)
        keys, weight = seen.keys[2].double(), down.weight.T.double()
        offset = torch.zeros(1, dtype=torch.float64) if bias is None else bias.double()
        product, size = keys @ weight + offset, keys.abs() @ weight.abs() + offset.abs()
        again = down.module(seen.keys[2])
    assert set(seen.keys) == {0, 2} and set(seen.outputs) == {1} and set(seen.downs) == {2}
    torch.testing.assert_close(seen.downs[2], again, rtol=0, atol=0)
    # A sum of n products is off by at most n roundings of its terms, in any order; its own rounding comes on top.
    summed = torch.finfo(torch.promote_types(dtype, torch.float32)).eps
    bound = torch.finfo(dtype).eps * product.abs() + keys.shape[-1] * summed * size
    assert ((seen.downs[2].double() - product).abs() <= bound).all()
    torch.testing.assert_close(seen.outputs[1], states[2])


def test_no_layer_runs_above_the_last_one_that_is_asked_for():
    decoder = discover(random_model("llama"))
    ran = []
    for layer in decoder.layers:
        layer.module.register_forward_pre_hook(lambda _m, _a, i=layer.index: ran.append(i))
    decoder.head.register_forward_pre_hook(lambda _m, _a: ran.append("head"))
    with torch.no_grad():
        activations(decoder, {"input_ids": IDS}, keys=[1])
    assert ran == [0, 1]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_hooked_change_equals_an_edit_of_the_weights_that_is_exactly_solvable(family):
    """Fewer tokens than key dimensions: one Δ gives δ at one token and nothing at the others."""
    model = random_model(family, torch.float64)
    decoder = discover(model)
    down = decoder.layers[LAYER].down
    delta = torch.randn(D, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        keys = activations(decoder, {"input_ids": IDS}, keys=[LAYER]).keys[LAYER][0].T
        with add_to_output(down.module, PLACE, delta[None]):
            hooked = model(input_ids=IDS).logits
        wanted = torch.zeros(D, IDS.shape[1], dtype=torch.float64)
        wanted[:, PLACE] = delta
        solution = closed_form(factorise(torch.eye(keys.shape[0])), 1e-13, keys, wanted)
        change = FactorDelta({down.name: (solution.left.float(), solution.right.float())})
        with applied(model, change):
            edited = model(input_ids=IDS).logits
        plain = model(input_ids=IDS).logits
    assert (hooked - plain).abs().max() > 0.01
    torch.testing.assert_close(edited, hooked, rtol=0, atol=1e-5 * float((hooked - plain).abs().max()) + 1e-5)
    torch.testing.assert_close(hooked[:, :PLACE], plain[:, :PLACE])


def test_adding_reaches_layers_that_return_tuples():
    model = random_model("gptj")
    layer = discover(model).layers[1].module
    seen = []
    shift = torch.ones(1, D)
    with torch.no_grad(), add_to_output(layer, PLACE, shift):
        layer.register_forward_hook(lambda _m, _a, out: seen.append(first_tensor(out)))
        model(input_ids=IDS)
    with torch.no_grad():
        model(input_ids=IDS)
    moved = seen[0] - seen[1]
    torch.testing.assert_close(moved[0, PLACE], shift[0])
    assert moved[0, :PLACE].abs().max() == 0


def test_frozen_gives_back_modes_and_gradients_as_they_were():
    model = random_model("llama").train()
    odd = next(model.parameters()).requires_grad_(False)
    with pytest.raises(RuntimeError), frozen(model):
        assert not model.training and not any(p.requires_grad for p in model.parameters())
        raise RuntimeError
    assert model.training and not odd.requires_grad
    assert all(p.requires_grad for p in model.parameters() if p is not odd)


def test_a_later_pass_overwrites_what_was_recorded_and_nothing_is_recorded_afterwards():
    model = random_model("llama")
    decoder = discover(model)
    with torch.no_grad():
        with record_activations(decoder, outputs=[1]) as recorded:
            model(input_ids=IDS)
            first = recorded.outputs[1]
            model(input_ids=IDS[:, :4])
        second = recorded.outputs[1]
        model(input_ids=IDS)
    assert (first.shape[1], second.shape[1]) == (7, 4)
    assert recorded.outputs[1] is second


def test_a_perturbed_module_puts_out_the_sum_and_is_itself_again_afterwards():
    model = random_model("llama")
    down = discover(model).layers[LAYER].down.module
    states = torch.randn(1, 3, down.weight.shape[1], generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        plain = down(states)
        with perturb(down, torch.full_like(plain, 2.0)):
            moved = down(states)
        torch.testing.assert_close(moved, plain + 2.0)
        torch.testing.assert_close(down(states), plain, rtol=0, atol=0)


@pytest.mark.parametrize("family", FAMILIES)
def test_restricted_logits_are_those_of_the_chosen_places(family):
    model = random_model(family)
    ids = torch.cat([IDS, IDS.flip(1)])
    rows, columns = torch.tensor([1, 0, 1]), torch.tensor([0, 6, 3])
    with torch.no_grad():
        whole = model(input_ids=ids).logits
        with restrict_logits(model.get_output_embeddings(), rows, columns):
            chosen = model(input_ids=ids).logits
        assert model(input_ids=ids).logits.shape == whole.shape
    assert chosen.shape == (1, 3, whole.shape[-1])
    torch.testing.assert_close(chosen[0], whole[rows, columns], rtol=1e-4, atol=1e-4)
