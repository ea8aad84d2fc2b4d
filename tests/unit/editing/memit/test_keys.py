"""Passing an edited layer without running it again gives what running it again gives."""

from __future__ import annotations

import pytest
import torch

from kbsync.editing.memit import keys
from kbsync.editing.memit.keys import Climb
from kbsync.editing.subject import task
from kbsync.model.decoder import discover
from kbsync.model.delta import FactorDelta, applied
from tests.support.families import REQUESTS, random_model, recipe, tokenizer

FAMILIES = ("llama", "gpt2", "gptj", "gemma3", "olmo2")


def climbed(model, decoder, kept: int, monkeypatch):
    """Keys, outputs and streams of two edited layers with a change of weights after each look."""
    monkeypatch.setattr(keys, "KEPT_BYTES", kept)
    r = recipe()
    layers = decoder.edited_layers(r.layers)
    climb = Climb(decoder, layers, [task(tokenizer(), q, r.contexts).prompts for q in REQUESTS])
    draw = torch.Generator().manual_seed(0)
    found = []
    deltas = {}
    for step, layer in enumerate(layers):
        found += [climb.stream(step), *climb.look(step)]
        out, width = layer.down.weight.shape
        pair = tuple(0.3 * torch.randn(*shape, generator=draw) for shape in ((out, 2), (2, width)))
        deltas[layer.down.name] = pair
        with applied(model, FactorDelta(deltas)):
            found += [climb.advance(step), climb.stream(step + 1)]
    return found


@pytest.mark.parametrize("family", FAMILIES)
def test_it_is_the_same_as_running_the_layer_again(family, monkeypatch):
    model = random_model(family, torch.float64)
    decoder = discover(model)
    passes = []
    handle = decoder.layers[1].attention.register_forward_hook(lambda *_: passes.append(1))
    quick = climbed(model, decoder, 2**30, monkeypatch)
    counted = len(passes)
    plain = climbed(model, decoder, 0, monkeypatch)
    handle.remove()
    for one, two in zip(quick, plain, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-7, atol=1e-7)
    assert counted < len(passes) - counted
    assert not torch.equal(quick[2], quick[3]), "the weights did change"


def test_a_layer_that_scales_its_mlp_is_run_again(monkeypatch):
    model = random_model("llama", torch.float64)
    decoder = discover(model)
    for layer in decoder.layers:
        layer.mlp.register_forward_hook(lambda _m, _args, out: 0.5 * out)
    for one, two in zip(
        climbed(model, decoder, 2**30, monkeypatch), climbed(model, decoder, 0, monkeypatch), strict=True
    ):
        assert torch.equal(one, two)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_climb_again_runs_nothing_below_the_first_edited_layer(family):
    model, r = random_model(family, torch.float64), recipe()
    decoder = discover(model)
    layers, prompts = decoder.edited_layers(r.layers), [task(tokenizer(), q, r.contexts).prompts for q in REQUESTS]
    climb = Climb(decoder, layers, prompts)
    first = [climb.stream(0), *climb.look(0), climb.checkpoint()]
    below = []
    handle = decoder.layers[0].attention.register_forward_hook(lambda *_: below.append(1))
    again = climb.again()
    found = [again.stream(0), *again.look(0), again.checkpoint()]
    handle.remove()
    assert not below
    for one, two in zip(first, found, strict=True):
        assert torch.equal(one, two)
    torch.testing.assert_close(climb.look(1), again.look(1))
