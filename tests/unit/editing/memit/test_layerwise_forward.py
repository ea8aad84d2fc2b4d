"""Passing an edited layer without running it again gives what running it again gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from kbsync.editing.common.prompts import tokenise
from kbsync.editing.memit import layerwise_forward
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.model.decoder import Decoder, discover
from kbsync.model.delta import FactorDelta, applied
from tests.support.families import OTHERS, OWN_SITES, REWRITES, SANDWICH, random_model, recipe, tokenizer

FAMILIES = ("llama", "gpt2", "gptj", "gemma3", "olmo2")


def walk(model: Any, decoder: Decoder, kept: int, monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """Keys, outputs and streams of two edited layers, with a change of weights after each was inspected."""
    monkeypatch.setattr(layerwise_forward, "KEPT_BYTES", kept)
    r = recipe()
    layers = decoder.edited_layers(r.layers)
    forward = LayerwiseForward(decoder, layers, [tokenise(tokenizer(), q, r.contexts).prompts for q in REWRITES])
    draw = torch.Generator().manual_seed(0)
    results: list[Tensor] = []
    deltas = {}
    for position, layer in enumerate(layers):
        assert forward.position == position
        results += [forward.residual_stream(), *forward.inspect()]
        out, width = layer.down.weight.shape
        deltas[layer.down.name] = (
            0.3 * torch.randn(out, 2, generator=draw),
            0.3 * torch.randn(2, width, generator=draw),
        )
        with applied(model, FactorDelta(deltas)):
            results += [forward.step(), forward.residual_stream()]
    return results


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_it_is_the_same_as_running_the_layer_again(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model(family, torch.float64)
    decoder = discover(model)
    passes: list[int] = []
    handle = decoder.layers[1].attention.register_forward_hook(lambda *_: passes.append(1))
    quick = walk(model, decoder, 2**30, monkeypatch)
    counted = len(passes)
    plain = walk(model, decoder, 0, monkeypatch)
    handle.remove()
    for one, two in zip(quick, plain, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-7, atol=1e-7)
    runs_again = family in OWN_SITES and family not in SANDWICH
    assert counted >= len(passes) - counted if runs_again else counted < len(passes) - counted
    assert not torch.equal(quick[2], quick[3]), "the weights did change"


def test_a_layer_that_scales_its_mlp_is_run_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = random_model("llama", torch.float64)
    decoder = discover(model)
    for layer in decoder.layers:
        layer.mlp.register_forward_hook(lambda _m, _args, out: 0.5 * out)
    for one, two in zip(walk(model, decoder, 2**30, monkeypatch), walk(model, decoder, 0, monkeypatch), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_a_restart_runs_nothing_below_the_first_edited_layer(family: str) -> None:
    model, r = random_model(family, torch.float64), recipe()
    decoder = discover(model)
    layers, prompts = decoder.edited_layers(r.layers), [tokenise(tokenizer(), q, r.contexts).prompts for q in REWRITES]
    forward = LayerwiseForward(decoder, layers, prompts)
    first = [forward.residual_stream(), *forward.inspect(), forward.step()]
    below: list[int] = []
    handle = decoder.layers[0].attention.register_forward_hook(lambda *_: below.append(1))
    again = forward.restarted()
    results = [again.residual_stream(), *again.inspect(), again.step()]
    handle.remove()
    assert not below
    for one, two in zip(first, results, strict=True):
        assert torch.equal(one, two)
    torch.testing.assert_close(forward.inspect(), again.inspect())
