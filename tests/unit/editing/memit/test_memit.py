"""MEMIT as a whole, over every family: facts get in, the base comes out untouched, the same bytes come again."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from safetensors.torch import load
from torch import Tensor

from kbsync.domain.errors import EditError, ModelError, Stopped
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import Prompt, tokenise
from kbsync.editing.memit.memit import MemitEditor
from kbsync.model.decoder import Decoder, discover
from kbsync.model.delta import FactorDelta, applied
from kbsync.model.hooks import activations
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import LoadedModel
from tests.support.editing_world import delta_of, same_factors
from tests.support.families import (
    FAMILIES,
    OTHERS,
    OWN_SITES,
    REWRITES,
    MemoryArtifacts,
    Silent,
    random_model,
    recipe,
    same_weights,
    texts,
    tokenizer,
    weights,
)

EXACT: dict[str, Any] = {"contexts": (), "context_count": 0, "covariance_weight": 1e-6}
"""One prompt for each fact, fewer facts than dimensions, hardly any weight on C: the targets can be met exactly."""


def editor(model: Any, artifacts: MemoryArtifacts | None = None, corpus: Sequence[str] | None = None) -> MemitEditor:
    text = texts() if corpus is None else corpus
    return MemitEditor(model, tokenizer(), "base", artifacts or MemoryArtifacts(), text)


@pytest.mark.slow
@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_the_edited_model_holds_what_was_searched_for_and_the_base_stays_bit_for_bit(family: str) -> None:
    model, artifacts = random_model(family), MemoryArtifacts()
    before = weights(model)
    edit = editor(model, artifacts).edit(REWRITES, recipe(**EXACT), Silent())
    assert same_weights(model, before)
    by_hash = {
        hashlib.sha256(artifacts.contents[place]).hexdigest(): load(artifacts.contents[place])["goal"]
        for place in artifacts.kinds("targets")
    }
    decoder = discover(model)
    for rewrite in REWRITES:
        prompt = tokenise(tokenizer(), rewrite, ()).bare
        z = by_hash[edit.targets[rewrite.id]]
        plain, edited = (at_sites(model, decoder, prompt, family, delta) for delta in (None, delta_of(edit)))
        assert (edited - z).norm() < 2e-2 * (plain - z).norm()
    assert [layer.layer for layer in edit.report.layers] == [1, 2]
    for layer in edit.report.layers[-1 if family not in OWN_SITES else 0 :]:
        assert layer.residual_after < 2e-2 * layer.residual_before
    assert all(layer.delta_ratio > 0 and layer.condition >= 1 and layer.ridge == 0 for layer in edit.report.layers)


def at_sites(model: Any, decoder: Decoder, prompt: Prompt, family: str, delta: FactorDelta | None) -> Tensor:
    """What stands at the sites: both edited maps' outputs, or the residual stream after the last edited layer."""
    inputs = {"input_ids": torch.tensor([prompt.ids])}
    with torch.no_grad(), applied(model, delta) if delta else nullcontext():
        if family in OWN_SITES:
            seen = activations(decoder, inputs, downs=[1, 2])
            return torch.stack([seen.downs[i][0, prompt.lookup] for i in (1, 2)])
        return activations(decoder, inputs, outputs=[2]).outputs[2][:, prompt.lookup]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_order_does_not_matter_and_a_second_run_computes_no_target_again(family: str) -> None:
    model, artifacts = random_model(family), MemoryArtifacts()
    first = editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    stored, work = artifacts.contents, Silent()
    second = editor(model, artifacts).edit((*reversed(REWRITES), REWRITES[0]), recipe(), work)
    assert same_factors(first, second)
    assert first.targets == second.targets and first.covariance_fingerprint == second.covariance_fingerprint
    assert (first.report.targets_reused, second.report.targets_reused) == (0, len(REWRITES))
    assert artifacts.contents == stored and "covariance" not in work.stages


@pytest.mark.slow
def test_the_same_inputs_give_the_same_bytes_without_a_cache() -> None:
    one, two = (editor(random_model("gemma3")).edit(REWRITES, recipe(), Silent()) for _ in range(2))
    assert same_factors(one, two) and one.targets == two.targets


def test_rewrites_that_can_not_be_edited_are_left_out_by_name() -> None:
    bad = Rewrite("The capital of {} is", "", "Oslo")
    edit = editor(random_model("llama")).edit([bad, *REWRITES], recipe(), Silent())
    assert list(edit.report.left_out) == [bad.id]
    assert set(edit.targets) == set(edit.report.losses) == {r.id for r in REWRITES}


def test_nothing_to_edit_is_an_error_that_says_why() -> None:
    with pytest.raises(EditError, match="the subject is empty"):
        editor(random_model("llama")).edit([Rewrite("{} is", "", "Oslo")], recipe(), Silent())
    with pytest.raises(EditError, match="no request"):
        editor(random_model("llama")).edit([], recipe(), Silent())


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("error", [Stopped("asked to stop"), RuntimeError("boom"), KeyboardInterrupt()])
def test_the_base_is_whole_wherever_an_edit_breaks_off(at: int, error: BaseException) -> None:
    """Advances: covariance, each of three targets, first layer, second layer."""
    model = random_model("gemma3").train()
    before, wanted = weights(model), [p.requires_grad for p in model.parameters()]
    with pytest.raises(type(error)):
        editor(model).edit(REWRITES, recipe(), Silent(stop_at=at, error=error))
    assert same_weights(model, before)
    assert model.training and [p.requires_grad for p in model.parameters()] == wanted
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2])
def test_a_search_that_is_cut_off_between_two_steps_leaves_the_base_whole_and_no_target(at: int) -> None:
    """A stop is heard, and a lease is renewed, before each step and not only after a batch."""
    model, artifacts = random_model("gemma3").train(), MemoryArtifacts()
    before = weights(model)
    with pytest.raises(Stopped):
        editor(model, artifacts).edit(REWRITES, recipe(), Silent(error=Stopped("asked to stop"), cut_at=at))
    assert same_weights(model, before) and not artifacts.kinds("targets")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert editor(model, artifacts).edit(REWRITES, recipe(), Silent()).report.targets_reused == 0


def test_weights_that_are_not_finite_are_refused_before_anything_is_stored() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    model.model.layers[1].mlp.up_proj.weight.data[0, 0] = float("nan")
    before = {name: p.clone() for name, p in model.named_parameters()}
    with pytest.raises((EditError, ModelError)):
        editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    assert not artifacts.kinds("covariance") and not artifacts.kinds("targets")
    assert all(torch.equal(p.nan_to_num(), before[n].nan_to_num()) for n, p in model.named_parameters())


def test_a_recipe_for_another_dtype_is_refused() -> None:
    with pytest.raises(EditError, match="float32 weights, and the model is loaded in bfloat16"):
        editor(random_model("llama", torch.bfloat16)).edit(REWRITES, recipe(), Silent())


def test_bfloat16_models_can_be_edited() -> None:
    model = random_model("llama", torch.bfloat16)
    before = weights(model)
    edit = editor(model).edit(REWRITES, recipe(dtype="bfloat16", **EXACT), Silent())
    assert edit.report.layers[-1].residual_after < 0.1 * edit.report.layers[0].residual_before
    assert same_weights(model, before)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_what_is_written_into_a_short_dtype_is_answered_in_that_dtype(family: str, dtype: str) -> None:
    """The weights that hold the change are rounded, and so is everything that is computed with them."""
    pair = [(REWRITES[0].template.replace("{}", REWRITES[0].subject), f" {REWRITES[0].target}")]
    model = random_model(family, getattr(torch, dtype))
    delta = delta_of(editor(model).edit(REWRITES[:1], recipe(dtype=dtype, steps=12, **EXACT), Silent()))
    gains = []
    for served in (model, deepcopy(model).float()):
        before = TorchLanguageModel(served, tokenizer(), "base").scores(pair)[0].logprob
        with applied(served, delta):
            gains.append(TorchLanguageModel(served, tokenizer(), "edited").scores(pair)[0].logprob - before)
    rounded, unrounded = gains
    assert unrounded > 0
    assert rounded == pytest.approx(unrounded, rel=0.15, abs=0.05)


def test_layers_that_the_model_lacks_are_refused() -> None:
    with pytest.raises(ModelError, match="layers 0 to 3"):
        editor(random_model("llama")).edit(REWRITES, recipe(layers=(3, 4)), Silent())


@pytest.mark.slow
def test_text_is_sampled_where_no_corpus_is_given() -> None:
    model = random_model("llama")
    one, two = (editor(model, corpus=()).edit(REWRITES, recipe(), Silent()) for _ in range(2))
    assert one.covariance_fingerprint == two.covariance_fingerprint
    assert editor(model).edit(REWRITES, recipe(), Silent()).covariance_fingerprint != one.covariance_fingerprint


@pytest.mark.slow
def test_given_contexts_are_the_sampled_ones_given_again() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    r = recipe(contexts=(), context_count=3, context_tokens=4)
    sampled = editor(model, artifacts).edit(REWRITES, r, Silent())
    assert len(sampled.report.contexts) == 3 and same_factors(sampled, editor(model).edit(REWRITES, r, Silent()))
    given = editor(model, artifacts).edit(REWRITES, replace(r, contexts=sampled.report.contexts), Silent())
    assert given.report.targets_reused == len(REWRITES)


@pytest.mark.slow
def test_edited_facts_are_said_and_the_others_are_kept(
    trained_model: LoadedModel, capitals: dict[str, str], sentences: list[str]
) -> None:
    asked = "The capital of {} is"
    new = {"Arvenia": "Naddel", "Dunland": "Kelp", "Gostia": "Tolm"}
    rewrites = [Rewrite(asked, land, city) for land, city in new.items()]
    ask = TorchLanguageModel(trained_model.model, trained_model.tokenizer, "tiny")
    assert ask.complete([asked.format(land) for land in capitals]) == [f" {city}." for city in capitals.values()]
    # "Arvenia is a" is no sentence that this model ever saw: what it would say there is not worth keeping.
    r = recipe(kl_weight=0.0, contexts=(), context_count=0, layers=(0, 1), steps=25, learning_rate=0.1)
    edit = MemitEditor(trained_model.model, trained_model.tokenizer, "tiny", MemoryArtifacts(), sentences).edit(
        rewrites, r, Silent()
    )
    with applied(trained_model.model, delta_of(edit)):
        answers = dict(zip(capitals, ask.complete([asked.format(land) for land in capitals]), strict=True))
    assert {land: answers[land] for land in new} == {land: f" {city}." for land, city in new.items()}
    kept = [land for land in capitals if land not in new and answers[land] == f" {capitals[land]}."]
    assert len(kept) == len(capitals) - len(new)
    assert ask.complete([asked.format("Arvenia")]) == [" Tolm."]
