"""The key covariance: a second moment over text, kept by content, refused when it is damaged or not finite."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load, save

from kbsync.domain.errors import EditError
from kbsync.editing.common.sampling import opening_ids, sample, seeded
from kbsync.editing.covariance.corpus import WINDOW, SampledCorpus
from kbsync.editing.covariance.covariance import covariances
from kbsync.editing.memit.memit import MemitEditor
from kbsync.model.decoder import discover
from kbsync.model.hooks import activations
from tests.support.families import (
    REWRITES,
    M,
    MemoryArtifacts,
    Silent,
    random_model,
    recipe,
    texts,
    tokenizer,
)


def measure(model, corpus, artifacts=None, **changes):
    r = recipe(**changes)
    return covariances(discover(model), tokenizer(), corpus, r, "base", artifacts or MemoryArtifacts(), Silent())


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_it_is_the_mean_outer_product_of_all_keys_but_the_start_tokens(family):
    model = random_model(family)
    decoder, corpus = discover(model), texts(5)
    got = measure(model, corpus, covariance_tokens=10**6).matrices
    keys = {1: [], 2: []}
    with torch.no_grad():
        for text in corpus:
            ids = tokenizer()(text)["input_ids"]
            seen = activations(decoder, {"input_ids": torch.tensor([ids])}, keys=[1, 2])
            for layer in (1, 2):
                keys[layer] += [k.double() for k in seen.keys[layer][0, 1:]]
    for layer in (1, 2):
        stacked = torch.stack(keys[layer])
        torch.testing.assert_close(got[layer], stacked.T @ stacked / len(stacked), rtol=1e-4, atol=1e-6)
        assert got[layer].dtype == torch.float64 and got[layer].shape == (M, M)


def test_the_budget_bounds_the_tokens():
    class Counting(Silent):
        def advance(self, count: int = 1) -> None:
            self.advances += count

    progress = Counting()
    covariances(
        discover(random_model("llama")), tokenizer(), texts(), recipe(covariance_tokens=333), "base", MemoryArtifacts(),
        progress,
    )  # fmt: skip
    assert progress.advances == 333


def test_a_long_text_is_cut_into_windows_that_all_begin_as_texts_do():
    model = random_model("llama")
    model.config.max_position_embeddings = 2 * WINDOW
    text = "".join(texts(12))
    ids = tokenizer()(text, add_special_tokens=False)["input_ids"]
    seen: list[list[int]] = []
    model.model.embed_tokens.register_forward_pre_hook(lambda _m, args: seen.extend(args[0].tolist()))
    measure(model, [text], covariance_tokens=10**6)
    pieces = [row for row in seen if len(row) > 3]  # the shorter one is discovery's probe
    assert len(ids) > 2 * WINDOW
    assert {row[0] for row in pieces} == {0}
    assert sum(sum(t != 0 for t in row) for row in pieces) == len(ids)
    assert max(map(len, pieces)) == WINDOW


def test_text_without_a_token_is_an_error():
    with pytest.raises(EditError, match="no tokens"):
        measure(random_model("llama"), [""])


def test_layers_are_kept_one_by_one_and_only_missing_ones_are_measured():
    model, artifacts = random_model("llama"), MemoryArtifacts()
    measure(model, texts(), artifacts, layers=(1,))
    kept = dict(artifacts.blobs)
    both = measure(model, texts(), artifacts, layers=(1, 2))
    assert kept.items() <= artifacts.blobs.items() and len(artifacts.blobs) == 2
    assert both.fingerprint == measure(model, texts(), layers=(1, 2)).fingerprint


@pytest.mark.parametrize("changes", [{"covariance_tokens": 500}, {"seed": 1}])
def test_other_settings_are_other_covariances(changes):
    model, artifacts = random_model("llama"), MemoryArtifacts()
    one = measure(model, texts(), artifacts)
    assert measure(model, texts(), artifacts, **changes).fingerprint != one.fingerprint
    assert len(artifacts.blobs) == 4


def test_another_corpus_is_another_covariance():
    model, artifacts = random_model("llama"), MemoryArtifacts()
    one = measure(model, texts(30), artifacts)
    assert measure(model, texts(31), artifacts).fingerprint != one.fingerprint


@pytest.mark.parametrize(
    "matrix", [torch.full((M, M), float("nan")).double(), -torch.eye(M).double(), torch.ones(M, M - 1).double()]
)
def test_a_damaged_covariance_is_refused_and_the_base_is_untouched(matrix):
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor = MemitEditor(model, tokenizer(), "base", artifacts, texts())
    editor.edit(REWRITES, recipe(), Silent())
    before = {name: p.clone() for name, p in model.named_parameters()}
    for kind, key in list(artifacts.blobs):
        if kind == "covariance":
            assert load(artifacts.blobs[kind, key])["second_moment"].shape == (M, M)
            kept = load(artifacts.blobs[kind, key])
            artifacts.blobs[kind, key] = save(kept | {"second_moment": matrix})
    with pytest.raises(EditError, match="covariance"):
        editor.edit(REWRITES, recipe(), Silent())
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"base": "other"}, "model"),
        ({"layers": (2,)}, "layer"),
        ({"covariance_tokens": 500}, "tokens"),
        ({"corpus": texts(31)}, "text"),
    ],
)
def test_a_covariance_of_something_else_is_refused_by_name(other, named):
    model, artifacts = random_model("llama"), MemoryArtifacts()
    settings = recipe(**({"layers": (1,)} | {k: v for k, v in other.items() if k in ("layers", "covariance_tokens")}))
    base, corpus = other.get("base", "base"), other.get("corpus", texts())
    covariances(discover(model), tokenizer(), corpus, settings, base, artifacts, Silent())
    (foreign,) = artifacts.blobs.values()
    mine = MemoryArtifacts()
    measure(model, texts(), mine, layers=(1,))
    (key,) = mine.blobs
    mine.blobs[key] = foreign
    with pytest.raises(EditError, match=f"measured on another .*{named}"):
        measure(model, texts(), mine, layers=(1,))


def test_a_file_that_does_not_say_what_it_is_is_refused():
    model, artifacts = random_model("llama"), MemoryArtifacts()
    measure(model, texts(), artifacts)
    for key, blob in list(artifacts.blobs.items()):
        artifacts.blobs[key] = save({"second_moment": load(blob)["second_moment"]})
    with pytest.raises(EditError, match="does not say what it was measured on"):
        measure(model, texts(), artifacts)


def test_a_key_that_is_not_finite_is_refused():
    model = random_model("llama")
    decoder = discover(model)
    model.model.layers[1].mlp.up_proj.weight.data.fill_(1e38)
    with pytest.raises(EditError, match="layer 1 is not finite"):
        covariances(decoder, tokenizer(), texts(), recipe(), "base", MemoryArtifacts(), Silent())


def test_sampling_is_the_same_for_a_seed_and_another_for_another():
    decoder = discover(random_model("llama"))
    start = torch.tensor([[0, 5], [0, 9]])
    one, two, other = (sample(decoder, start, 12, 5, seeded(s)) for s in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert one.shape == (2, 14) and torch.equal(one[:, :2], start)


def test_sampling_draws_from_the_likeliest_tokens_only():
    model = random_model("gemma3")
    decoder = discover(model)
    drawn = sample(decoder, torch.tensor([[0, 5, 8]]), 10, 3, seeded(0))
    with torch.no_grad():
        best = model(input_ids=drawn).logits[0].topk(3).indices
    assert all(int(drawn[0, i]) in best[i - 1] for i in range(3, 13))


def test_a_sampled_corpus_begins_as_texts_do_and_ends_at_the_end_token():
    decoder = discover(random_model("llama"))
    rows = [row for batch in SampledCorpus(decoder, tokenizer(), 6000, 0).batches() for row in batch]
    assert opening_ids(tokenizer()) == [0] and opening_ids(tokenizer(with_bos=False)) == []
    assert all(row[0] == 0 and tokenizer().eos_token_id not in row[1:] for row in rows)
    assert sum(len(row) - 1 for row in rows) >= 6000
    assert any(len(row) < 129 for row in rows)
