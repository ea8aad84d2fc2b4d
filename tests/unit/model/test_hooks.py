"""Hooks see what the model computes, stop where they are told, and change only what they are told."""

import pytest
import torch

from kbsync.editing.common.cholesky import factorise
from kbsync.editing.memit.solve import closed_form
from kbsync.model.decoder import discover, first_tensor
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.hooks import activations, add_to_output, frozen
from kbsync.model.suffix import prepare_suffixes
from tests.support.families import FAMILIES, LAYERS, SANDWICH, D, random_model

IDS = torch.tensor([[0, 17, 300, 41, 9, 77, 250]])
PLACE, LAYER = 3, 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16], ids=["f64", "f32", "bf16"])
@pytest.mark.parametrize("family", FAMILIES)
def test_trace_sees_keys_downs_and_outputs(family, dtype):
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


def test_trace_runs_no_layer_above_the_last_one_asked_for():
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


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("first", [0, 2, LAYERS])
def test_the_suffix_alone_gives_what_the_whole_pass_gives(family, first):
    """Rows of different lengths in one batch; one of them has no prefix at all."""
    model = random_model(family, torch.float64)
    decoder = discover(model)
    rows = [((0, 17, 300, 41, 9), 2), ((55, 60, 12), 0), ((0, 1, 2, 3, 4, 5, 6, 7), 5)]
    with frozen(model), torch.no_grad():
        suffixes = prepare_suffixes(decoder, rows, first)
        normed = suffixes.run(suffixes.hidden)
        again = suffixes.select(torch.tensor([0, 2])).run(suffixes.hidden[[0, 2]])
        shorter = suffixes.select(torch.tensor([2, 0]), 2)
        beginnings = shorter.run(shorter.hidden)
        for i, (ids, lookup) in enumerate(rows):
            whole = model(input_ids=torch.tensor([ids])).logits[0, lookup:]
            torch.testing.assert_close(
                decoder.logits(normed[i, : len(ids) - lookup]), whole, rtol=0, atol=1e-5 * float(whole.abs().max())
            )
    torch.testing.assert_close(normed[[0, 2]], again)
    torch.testing.assert_close(normed[[2, 0], :2], beginnings)
    torch.testing.assert_close(normed[0, :3], suffixes.normed[0, :3])


@pytest.mark.parametrize("family", ["llama", *SANDWICH])
def test_a_change_in_the_suffix_equals_the_change_in_the_whole_pass(family):
    model = random_model(family, torch.float64)
    decoder = discover(model)
    ids, lookup = (0, 17, 300, 41, 9), 2
    shift = torch.randn(1, D, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    down = decoder.layers[1].down.module
    with frozen(model), torch.no_grad():
        suffixes = prepare_suffixes(decoder, [(ids, lookup)], 1)
        with add_to_output(down, 0, shift):
            part = decoder.logits(suffixes.run(suffixes.hidden))[0]
        with add_to_output(down, lookup, shift):
            whole = model(input_ids=torch.tensor([ids])).logits[0, lookup:]
    torch.testing.assert_close(part, whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


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
