"""Where δ is added, what then stands there, and what each edited layer has to put out."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from kbsync.editing.common.prompts import tokenise
from kbsync.editing.memit.insertion import Insertion, SandwichNormInsertion, StreamInsertion, insertion_for
from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.model.decoder import Decoder, DecoderLayer, discover, first_tensor
from kbsync.model.hooks import by_row
from tests.support.families import FAMILIES, OTHERS, OWN_SITES, REWRITES, random_model, recipe, tokenizer

DTYPE = torch.float64


def prepared(family: str) -> tuple[Any, Decoder, Insertion, list[tuple[tuple[int, ...], int]]]:
    model = random_model(family, DTYPE)
    decoder = discover(model)
    prompts = [tokenise(tokenizer(), rewrite, ()).bare for rewrite in REWRITES]
    rows = [(p.ids[:-1], p.lookup) for p in prompts]
    return model, decoder, insertion_for(decoder, decoder.edited_layers((1, 2))), rows


def site_module(layer: DecoderLayer, family: str) -> torch.nn.Module:
    return layer.down.module if family in OWN_SITES else layer.module


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_a_change_at_the_sites_gives_what_whole_passes_with_hooks_give(family: str) -> None:
    model, decoder, insertion, rows = prepared(family)
    layers = insertion.layers if family in OWN_SITES else insertion.layers[-1:]
    assert insertion.sites == len(layers)
    with torch.no_grad():
        suffixes, init = insertion.prepare(rows)
        draw = torch.Generator().manual_seed(1)
        delta = 0.3 * torch.randn(len(rows), insertion.sites, decoder.hidden_size, dtype=DTYPE, generator=draw)
        normed, at_sites = insertion.run(suffixes, delta)
        unchanged, unmoved = insertion.run(suffixes, torch.zeros_like(delta))
    torch.testing.assert_close(unmoved, init)
    torch.testing.assert_close(unchanged, suffixes.normed)
    for n in range(len(rows)):
        beside = insertion.at_sites([ids[: lookup + 1] for ids, lookup in rows], delta[n])
        torch.testing.assert_close(beside[n], at_sites[n], rtol=1e-5, atol=1e-6)
    modules = [site_module(layer, family) for layer in layers]
    for n, (ids, lookup) in enumerate(rows):
        whole, seen = whole_pass(model, modules, ids, lookup, delta[n])
        with torch.no_grad():
            ours = decoder.logits(normed[n, : len(ids) - lookup])
        torch.testing.assert_close(ours, whole, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(at_sites[n], seen, rtol=1e-5, atol=1e-6)


def whole_pass(
    model: Any, modules: list[torch.nn.Module], ids: tuple[int, ...], lookup: int, delta: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits from the lookup token on, and the modules' outputs there, with δ (sites, d) added to them by plain
    hooks."""
    seen = {}

    def adding(site: int) -> Any:
        def hook(_module: Any, _args: Any, out: Any) -> Any:
            moved = first_tensor(out).clone()
            by_row(moved, 1)[0, lookup] += delta[site]
            seen[site] = by_row(moved, 1)[0, lookup]
            return (moved, *out[1:]) if isinstance(out, tuple) else moved

        return hook

    handles = [module.register_forward_hook(adding(site)) for site, module in enumerate(modules)]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids])).logits[0, lookup:]
    for handle in handles:
        handle.remove()
    return logits, torch.stack([seen[site] for site in range(len(modules))])


@pytest.mark.parametrize("family", ["llama", "gemma3", "qwen2-moe"])
def test_the_layers_share_the_residual_or_each_has_its_own(family: str) -> None:
    _, decoder, insertion, _ = prepared(family)
    facts = [tokenise(tokenizer(), rewrite, recipe().contexts).prompts for rewrite in REWRITES]
    forward = LayerwiseForward(decoder, insertion.layers, facts)
    draw = torch.Generator().manual_seed(2)
    z = torch.randn(len(facts), insertion.sites, decoder.hidden_size, dtype=DTYPE, generator=draw)
    with torch.no_grad():
        for position in range(2):
            keys, distance, residual = insertion.residual(z, forward)
            assert keys.shape == (3, 48)
            share = 1 if family in OWN_SITES else 2 - position
            torch.testing.assert_close(residual, distance / share)
            torch.testing.assert_close(insertion.pass_layer(z, forward), distance)
    assert forward.position == 2


def test_the_structure_chooses_the_insertion() -> None:
    for family in (*FAMILIES, *OTHERS):
        insertion = prepared(family)[2]
        assert type(insertion) is (SandwichNormInsertion if family in OWN_SITES else StreamInsertion), family
    assert (StreamInsertion.name, SandwichNormInsertion.name) == ("stream", "pre-norm"), "part of stored keys"


def test_layers_of_two_kinds_have_a_site_each() -> None:
    plain, sandwich = discover(random_model("llama")), discover(random_model("gemma3"))
    insertion = insertion_for(plain, [plain.layers[1], sandwich.layers[2]])
    assert type(insertion) is SandwichNormInsertion
    assert insertion.sites == 2
