"""Preserved keys: facts that an edit must not move are told to it, and moved less."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.editing.common.prompts import tokenise
from kbsync.editing.memit.memit import MemitEditor
from kbsync.editing.memit.preserved import PreservedKeys, preserved_prompts
from kbsync.model.decoder import discover
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.hooks import activations
from tests.support.editing_world import delta_of, same_factors
from tests.support.families import M, MemoryArtifacts, Silent, random_model, recipe, same_weights, texts, tokenizer
from tests.support.families import weights as weights_of

ASKED = "The capital of {} is"
REWRITES = [Rewrite(ASKED, "France", "Oslo"), Rewrite(ASKED, "Spain", "Cairo")]
PERU, KENYA = Preserved(ASKED, "Peru"), Preserved(ASKED, "Kenya")


def moved(model: Any, delta: FactorDelta, preserved: list[Preserved]) -> float:
    """How far the first edited layer's outputs move at the preserved subjects: mean ‖Δ k‖."""
    decoder = discover(model)
    layer = decoder.edited_layers(recipe().layers)[0].index
    distances = []
    for prompt in preserved_prompts(tokenizer(), preserved, [], 100):
        inputs = {"input_ids": torch.tensor([prompt.key_ids]), "use_cache": False}
        with torch.no_grad():
            before = activations(decoder, inputs, downs=[layer]).downs[layer][0, -1]
            with applied(model, delta):
                after = activations(decoder, inputs, downs=[layer]).downs[layer][0, -1]
        distances.append(float((after - before).norm()))
    assert distances
    return sum(distances) / len(distances)


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_preserved_facts_move_less_and_the_base_not_at_all(family: str) -> None:
    model, preserved = random_model(family), [PERU, KENYA]
    before = weights_of(model)
    editor = MemitEditor(model, tokenizer(), "base", MemoryArtifacts(), texts())
    r = recipe(covariance_weight=1.0, guard_count=2, guard_weight=100.0)
    free = delta_of(editor.edit(REWRITES, r, Silent()))
    held = delta_of(editor.edit(REWRITES, r, Silent(), guards=preserved))
    assert moved(model, held, preserved) < 0.5 * moved(model, free, preserved)
    assert same_weights(model, before)


def test_their_order_does_not_matter() -> None:
    editor = MemitEditor(random_model("llama"), tokenizer(), "base", MemoryArtifacts(), texts())
    one, two = (editor.edit(REWRITES, recipe(), Silent(), guards=order) for order in ([PERU, KENYA], [KENYA, PERU]))
    assert same_factors(one, two)


def test_what_has_an_edited_facts_key_is_not_preserved_and_neither_is_what_has_no_prompt() -> None:
    rewrites = [tokenise(tokenizer(), Rewrite("{} is ruled from", "France", "Oslo"), [])]
    same_key = Preserved("{} speaks", "France")
    prompts = preserved_prompts(tokenizer(), [same_key, PERU, PERU, Preserved(ASKED, " "), KENYA], rewrites, 100)
    assert len(prompts) == 2
    assert preserved_prompts(tokenizer(), [PERU], [], 2) == []


def test_keys_are_weighted_by_the_root_and_come_from_the_layers_as_they_are() -> None:
    model, r = random_model("llama", torch.float64), recipe(guard_weight=9.0)
    decoder = discover(model)
    layers = decoder.edited_layers(r.layers)
    prompts = preserved_prompts(tokenizer(), [PERU, KENYA], [], 100)
    preserved = PreservedKeys(decoder, layers, prompts, r)
    for layer in layers:
        keys = preserved.keys()
        assert keys is not None and keys.shape == (M, 2)
        for n, prompt in enumerate(prompts):
            with torch.no_grad():
                inputs = {"input_ids": torch.tensor([prompt.key_ids]), "use_cache": False}
                plain = activations(decoder, inputs, keys=[layer.index]).keys[layer.index][0, -1]
            torch.testing.assert_close(keys[:, n], 3.0 * plain)
        preserved.step()
    again = preserved.restarted().keys()
    first = PreservedKeys(decoder, layers, prompts, r).keys()
    assert again is not None and first is not None and torch.equal(again, first)


def test_nothing_preserved_is_no_keys() -> None:
    decoder = discover(random_model("llama"))
    nothing = PreservedKeys(decoder, decoder.edited_layers((1, 2)), [], recipe())
    assert nothing.keys() is None
    nothing.step()
    assert nothing.restarted().keys() is None
