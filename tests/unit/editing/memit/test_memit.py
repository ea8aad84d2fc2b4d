"""The editor as a whole, over every family: facts get in, the base comes out untouched, the same bytes come again."""

from __future__ import annotations

import hashlib
from contextlib import nullcontext
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load

from kbsync.domain.errors import EditError, ModelError, Stopped
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.common.prompts import tokenise
from kbsync.editing.memit.memit import MemitEditor
from kbsync.model.decoder import discover
from kbsync.model.delta import applied
from kbsync.model.hooks import activations
from tests.support.families import (
    FAMILIES,
    REWRITES,
    SANDWICH,
    MemoryArtifacts,
    Silent,
    random_model,
    recipe,
    same_weights,
    texts,
    tokenizer,
    weights,
)

EXACT = {"contexts": (), "context_count": 0, "covariance_weight": 1e-6}
"""One prompt per fact, fewer facts than dimensions, hardly any weight on what was: the goals can be met exactly."""


def editor(model, artifacts=None, corpus=None) -> MemitEditor:
    corpus = texts() if corpus is None else corpus
    return MemitEditor(model, tokenizer(), "base", artifacts or MemoryArtifacts(), corpus)


def factors(edit):
    return [t for name in edit.delta.parameters for t in edit.delta.factors[name]]


def equal(a, b) -> bool:
    return all(torch.equal(x, y) for x, y in zip(factors(a), factors(b), strict=True))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_edited_model_holds_what_was_searched_for_and_the_base_stays_bit_for_bit(family):
    model, artifacts = random_model(family), MemoryArtifacts()
    before = weights(model)
    made = editor(model, artifacts).edit(REWRITES, recipe(**EXACT), Silent())
    assert same_weights(model, before)
    goals = {
        hashlib.sha256(b).hexdigest(): load(b)["goal"] for (kind, _), b in artifacts.blobs.items() if kind == "targets"
    }
    decoder = discover(model)
    for r in REWRITES:
        prompt = tokenise(tokenizer(), r, ()).bare
        goal = goals[made.targets[r.id]]
        plain, edited = (sites(model, decoder, prompt, family, delta) for delta in (None, made.delta))
        assert (edited - goal).norm() < 2e-2 * (plain - goal).norm()
    assert [layer.layer for layer in made.report.layers] == [1, 2]
    for layer in made.report.layers[-1 if family not in SANDWICH else 0 :]:
        assert layer.residual_after < 2e-2 * layer.residual_before
    assert all(layer.delta_ratio > 0 and layer.condition >= 1 and layer.ridge == 0 for layer in made.report.layers)


def sites(model, decoder, prompt, family, delta):
    """What stands at the places of the change: pre-norm outputs of both layers, or the stream after the last."""
    inputs = {"input_ids": torch.tensor([prompt.ids])}
    with torch.no_grad(), applied(model, delta) if delta else nullcontext():
        if family in SANDWICH:
            seen = activations(decoder, inputs, downs=[1, 2])
            return torch.stack([seen.downs[i][0, prompt.lookup] for i in (1, 2)])
        return activations(decoder, inputs, outputs=[2]).outputs[2][:, prompt.lookup]


@pytest.mark.slow
@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_order_does_not_matter_and_a_second_run_computes_no_target_again(family):
    model, artifacts = random_model(family), MemoryArtifacts()
    first = editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    kept = dict(artifacts.blobs)
    progress = Silent()
    second = editor(model, artifacts).edit((*reversed(REWRITES), REWRITES[0]), recipe(), progress)
    assert equal(first, second)
    assert first.targets == second.targets and first.covariance_fingerprint == second.covariance_fingerprint
    assert (first.report.targets_reused, second.report.targets_reused) == (0, len(REWRITES))
    assert artifacts.blobs == kept and "covariance" not in progress.stages


def test_the_same_inputs_give_the_same_bytes_without_a_cache():
    one, two = (editor(random_model("gemma3")).edit(REWRITES, recipe(), Silent()) for _ in range(2))
    assert equal(one, two) and one.targets == two.targets


@pytest.mark.parametrize("family", ["llama", "olmo2"])
def test_a_target_does_not_depend_on_the_facts_beside_it(family):
    model = random_model(family, torch.float64)
    alone, together = MemoryArtifacts(), MemoryArtifacts()
    r = recipe(dtype="float64")
    editor(model, together).edit(REWRITES, r, Silent())
    for q in REWRITES:
        editor(model, alone).edit([q], r, Silent())
    assert {k for k in alone.blobs if k[0] == "targets"} == {k for k in together.blobs if k[0] == "targets"}
    for key, blob in alone.blobs.items():
        if key[0] == "targets":
            torch.testing.assert_close(load(blob)["goal"], load(together.blobs[key])["goal"], rtol=1e-5, atol=1e-5)


def test_only_new_facts_are_searched_for():
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor(model, artifacts).edit(REWRITES[:2], recipe(), Silent())
    more = editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    assert more.report.targets_reused == 2
    assert set(more.targets) == {r.id for r in REWRITES}


@pytest.mark.parametrize(
    ("changes", "reused"),
    [
        ({"covariance_weight": 9.0}, 3),
        ({"covariance_tokens": 900}, 3),
        ({"name": "other"}, 3),
        ({"layers": (0, 2)}, 3),
        ({"layers": (1, 3)}, 0),
        ({"steps": 5}, 0),
        ({"clamp": 0.5}, 0),
        ({"kl_weight": 0.5}, 0),
        ({"contexts": ("Now {}",)}, 0),
    ],
)
def test_targets_are_kept_under_all_that_they_depend_on(changes, reused):
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    again = editor(model, artifacts).edit(REWRITES, replace(recipe(), **changes), Silent())
    assert again.report.targets_reused == reused


def test_in_sandwich_models_a_target_depends_on_every_edited_layer():
    model, artifacts = random_model("gemma3"), MemoryArtifacts()
    editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    assert editor(model, artifacts).edit(REWRITES, recipe(layers=(0, 2)), Silent()).report.targets_reused == 0


def test_another_base_shares_nothing():
    model, artifacts = random_model("llama"), MemoryArtifacts()
    MemitEditor(model, tokenizer(), "one", artifacts, texts()).edit(REWRITES, recipe(), Silent())
    other = MemitEditor(model, tokenizer(), "two", artifacts, texts()).edit(REWRITES, recipe(), Silent())
    assert other.report.targets_reused == 0
    assert len({key for kind, key in artifacts.blobs if kind == "covariance"}) == 4


def test_requests_that_can_not_be_edited_are_left_out_by_name():
    bad = Rewrite("The capital of {} is", "", "Oslo")
    made = editor(random_model("llama")).edit([bad, *REWRITES], recipe(), Silent())
    assert list(made.report.left_out) == [bad.id]
    assert set(made.targets) == set(made.report.losses) == {r.id for r in REWRITES}


def test_nothing_to_edit_is_an_error_that_says_why():
    with pytest.raises(EditError, match="the subject is empty"):
        editor(random_model("llama")).edit([Rewrite("{} is", "", "Oslo")], recipe(), Silent())
    with pytest.raises(EditError, match="no request"):
        editor(random_model("llama")).edit([], recipe(), Silent())


@pytest.mark.slow
@pytest.mark.parametrize("at", [1, 2, 3, 4, 5, 6])
@pytest.mark.parametrize("error", [Stopped("asked to stop"), RuntimeError("boom"), KeyboardInterrupt()])
def test_the_base_is_whole_wherever_an_edit_breaks_off(at, error):
    """Advances: covariance, each of three targets, first layer, second layer."""
    model = random_model("gemma3").train()
    before, wanted = weights(model), [p.requires_grad for p in model.parameters()]
    with pytest.raises(type(error)):
        editor(model).edit(REWRITES, recipe(), Silent(stop_at=at, error=error))
    assert same_weights(model, before)
    assert model.training and [p.requires_grad for p in model.parameters()] == wanted
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("at", [1, 2])
def test_a_search_that_is_cut_off_between_two_steps_leaves_the_base_whole_and_no_target(at):
    """A stop is heard, and a lease is renewed, before each step and not only after a batch."""
    model, artifacts = random_model("gemma3").train(), MemoryArtifacts()
    before = weights(model)
    with pytest.raises(Stopped):
        editor(model, artifacts).edit(REWRITES, recipe(), Silent(error=Stopped("asked to stop"), cut_at=at))
    assert same_weights(model, before) and not any(kind == "targets" for kind, _ in artifacts.blobs)
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert editor(model, artifacts).edit(REWRITES, recipe(), Silent()).report.targets_reused == 0


def test_a_stop_keeps_the_targets_that_were_found():
    model, artifacts = random_model("llama"), MemoryArtifacts()
    with pytest.raises(Stopped):
        editor(model, artifacts).edit(REWRITES, recipe(), Silent(stop_at=3, error=Stopped("asked to stop")))
    assert editor(model, artifacts).edit(REWRITES, recipe(), Silent()).report.targets_reused == 2


def test_weights_that_are_not_finite_are_refused_before_anything_is_stored():
    model, artifacts = random_model("llama"), MemoryArtifacts()
    model.model.layers[1].mlp.up_proj.weight.data[0, 0] = float("nan")
    before = {name: p.clone() for name, p in model.named_parameters()}
    with pytest.raises((EditError, ModelError)):
        editor(model, artifacts).edit(REWRITES, recipe(), Silent())
    assert not any(kind in ("covariance", "targets") for kind, _ in artifacts.blobs)
    assert all(torch.equal(p.nan_to_num(), before[n].nan_to_num()) for n, p in model.named_parameters())


def test_a_recipe_for_another_dtype_is_refused():
    with pytest.raises(EditError, match="float32 weights, and the model is loaded in bfloat16"):
        editor(random_model("llama", torch.bfloat16)).edit(REWRITES, recipe(), Silent())


@pytest.mark.slow
def test_bfloat16_models_can_be_edited():
    model, artifacts = random_model("llama", torch.bfloat16), MemoryArtifacts()
    before = weights(model)
    made = editor(model, artifacts).edit(REWRITES, recipe(dtype="bfloat16", **EXACT), Silent())
    assert made.report.layers[-1].residual_after < 0.1 * made.report.layers[0].residual_before
    assert same_weights(model, before)


def test_layers_that_the_model_lacks_are_refused():
    with pytest.raises(ModelError, match="layers 0 to 3"):
        editor(random_model("llama")).edit(REWRITES, recipe(layers=(3, 4)), Silent())


def test_sampled_contexts_are_reported_kept_and_the_same_again():
    model = random_model("llama")
    r = recipe(contexts=(), context_count=3, context_tokens=4)
    one = editor(model).edit(REWRITES, r, Silent())
    artifacts = MemoryArtifacts()
    two = editor(model, artifacts).edit(REWRITES, r, Silent())
    assert one.report.contexts == two.report.contexts and len(one.report.contexts) == 3
    assert all(c.count("{}") == 1 and c.endswith(". {}") for c in one.report.contexts)
    assert equal(one, two)
    given = editor(model, artifacts).edit(REWRITES, replace(r, contexts=one.report.contexts), Silent())
    assert given.report.targets_reused == len(REWRITES)


def test_given_contexts_must_have_one_place_for_the_prompt():
    with pytest.raises(EditError, match="one place"):
        editor(random_model("llama")).edit(REWRITES, recipe(contexts=("no place",)), Silent())


def test_text_is_sampled_where_no_corpus_is_given():
    model = random_model("llama")
    one, two = (editor(model, corpus=()).edit(REWRITES, recipe(), Silent()) for _ in range(2))
    assert one.covariance_fingerprint == two.covariance_fingerprint
    assert editor(model).edit(REWRITES, recipe(), Silent()).covariance_fingerprint != one.covariance_fingerprint


def test_the_report_names_the_libraries():
    made = editor(random_model("llama")).edit(REWRITES, recipe(), Silent())
    assert made.libraries["torch"] == torch.__version__
    assert set(made.libraries) == {"safetensors", "tokenizers", "torch", "transformers"}
