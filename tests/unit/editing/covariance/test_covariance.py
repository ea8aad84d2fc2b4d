"""The key covariance: a second moment over text, stored by content, refused when it is damaged or not finite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor

from kbsync.domain.errors import EditError
from kbsync.editing.covariance import covariance
from kbsync.editing.covariance.corpus import corpus
from kbsync.editing.covariance.covariance import Covariances, covariances, forget, known_layers
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


def measure(model: Any, corpus: Sequence[str], artifacts: MemoryArtifacts | None = None, **changes: Any) -> Covariances:
    store = artifacts or MemoryArtifacts()
    return covariances(discover(model), tokenizer(), corpus, recipe(**changes), "base", store, Silent())


@pytest.mark.parametrize("family", ["llama", "gpt2", "gemma3"])
def test_it_is_the_mean_outer_product_of_all_keys_but_the_start_tokens(family: str) -> None:
    model = random_model(family)
    decoder, corpus = discover(model), texts(5)
    matrices = measure(model, corpus, covariance_tokens=10**6).matrices
    keys: dict[int, list[Tensor]] = {1: [], 2: []}
    with torch.no_grad():
        for text in corpus:
            ids = tokenizer()(text)["input_ids"]
            seen = activations(decoder, {"input_ids": torch.tensor([ids])}, keys=[1, 2])
            for layer in (1, 2):
                keys[layer] += [k.double() for k in seen.keys[layer][0, 1:]]
    for layer in (1, 2):
        stacked = torch.stack(keys[layer])
        torch.testing.assert_close(matrices[layer], stacked.T @ stacked / len(stacked), rtol=1e-4, atol=1e-6)
        assert matrices[layer].dtype == torch.float64 and matrices[layer].shape == (M, M)


def test_text_without_a_token_is_an_error() -> None:
    with pytest.raises(EditError, match="no tokens"):
        measure(random_model("llama"), [""])


def test_layers_are_stored_one_by_one_and_only_missing_ones_are_measured() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    assert measure(model, texts(), artifacts, layers=(1,)).known == ()
    stored = artifacts.contents
    both = measure(model, texts(), artifacts, layers=(1, 2))
    assert stored.items() <= artifacts.contents.items() and len(artifacts.contents) == 2
    assert both.known == (1,) and set(both.tokens) == {1, 2}
    assert both.fingerprint == measure(model, texts(), layers=(1, 2)).fingerprint


def test_layers_that_would_not_fit_together_are_measured_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    model, read = random_model("llama"), []

    def counted(*given: Any) -> Any:
        read.append(given)
        return corpus(*given)

    monkeypatch.setattr(covariance, "corpus", counted)
    together = measure(model, texts(), layers=(0, 1, 2))
    assert len(read) == 1
    monkeypatch.setattr(covariance, "SUMS_BYTES", 2 * 8 * M**2)
    apart = measure(model, texts(), layers=(0, 1, 2))
    assert len(read) == 3, "two groups"
    assert apart.fingerprint == together.fingerprint and apart.known == ()
    monkeypatch.setattr(covariance, "SUMS_BYTES", 1)
    assert measure(model, texts(), layers=(0, 1, 2)).fingerprint == together.fingerprint


def test_what_is_stored_can_be_asked_for_and_forgotten() -> None:
    model, artifacts, r = random_model("llama"), MemoryArtifacts(), recipe(layers=(1, 2))
    measure(model, texts(), artifacts, layers=(2,))
    assert known_layers(texts(), r, "base", artifacts) == [2]
    assert known_layers(texts(), r, "other", artifacts) == []
    forget(texts(), r, "base", artifacts)
    assert known_layers(texts(), r, "base", artifacts) == [] and not artifacts.contents


def test_a_matrix_that_went_away_is_named() -> None:
    artifacts = MemoryArtifacts()
    matrices = measure(random_model("llama"), texts(), artifacts).matrices
    assert list(matrices) == [1, 2] and len(matrices) == 2
    for place in artifacts.kinds("covariance"):
        artifacts.drop(*place)
    with pytest.raises(EditError, match="of layer 1 is gone"):
        matrices[1]
    assert matrices.summary(1) is None


@pytest.mark.parametrize("changes", [{"covariance_tokens": 500}, {"seed": 1}])
def test_other_settings_are_other_covariances(changes: dict[str, Any]) -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    one = measure(model, texts(), artifacts)
    assert measure(model, texts(), artifacts, **changes).fingerprint != one.fingerprint
    assert len(artifacts.contents) == 4


def test_another_corpus_is_another_covariance() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    one = measure(model, texts(30), artifacts)
    assert measure(model, texts(31), artifacts).fingerprint != one.fingerprint


@pytest.mark.parametrize(
    "matrix", [torch.full((M, M), float("nan")).double(), -torch.eye(M).double(), torch.ones(M, M - 1).double()]
)
def test_a_damaged_covariance_is_refused_and_the_base_is_untouched(matrix: Tensor) -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    editor = MemitEditor(model, tokenizer(), "base", artifacts, texts())
    editor.edit(REWRITES, recipe(), Silent())
    before = {name: p.clone() for name, p in model.named_parameters()}
    for place in artifacts.kinds("covariance"):
        tensors = load(artifacts.contents[place])
        assert tensors["second_moment"].shape == (M, M)
        artifacts.exchange(place, save(tensors | {"second_moment": matrix}))
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
def test_a_covariance_of_something_else_is_refused_by_name(other: dict[str, Any], named: str) -> None:
    model, theirs, mine = random_model("llama"), MemoryArtifacts(), MemoryArtifacts()
    settings = recipe(**({"layers": (1,)} | {k: v for k, v in other.items() if k in ("layers", "covariance_tokens")}))
    base, corpus = other.get("base", "base"), other.get("corpus", texts())
    covariances(discover(model), tokenizer(), corpus, settings, base, theirs, Silent())
    measure(model, texts(), mine, layers=(1,))
    (foreign,), (place,) = theirs.contents.values(), mine.contents
    mine.exchange(place, foreign)
    with pytest.raises(EditError, match=f"measured on another .*{named}"):
        measure(model, texts(), mine, layers=(1,))


def test_a_file_that_does_not_say_what_it_is_is_refused() -> None:
    model, artifacts = random_model("llama"), MemoryArtifacts()
    measure(model, texts(), artifacts)
    for place, blob in artifacts.contents.items():
        artifacts.exchange(place, save({"second_moment": load(blob)["second_moment"]}))
    with pytest.raises(EditError, match="does not say what it was measured on"):
        measure(model, texts(), artifacts)
