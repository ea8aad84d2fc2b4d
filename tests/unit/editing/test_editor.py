"""Bad input: one clear error each, nothing half-written, for every algorithm; and what the log tells of a good edit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import structlog
import torch
from safetensors.torch import load, save

from kbsync.domain.errors import EditError, ModelError
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.editor import libraries
from kbsync.editing.editors import EDITORS
from kbsync.ports import Edit
from tests.support.editing_world import UNTRAINED, WITH_TARGETS
from tests.support.families import (
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


def edit(
    algorithm: str,
    model: Any,
    artifacts: MemoryArtifacts,
    base: str = "base",
    corpus: Sequence[str] | None = None,
    rewrites: Sequence[Rewrite] = REWRITES[:1],
    **changes: Any,
) -> Edit:
    r = recipe(**{"algorithm": algorithm, "layers": (1,), "steps": 2} | changes)
    text = texts() if corpus is None else corpus
    return EDITORS[algorithm](model, tokenizer(), base, artifacts, text).edit(rewrites, r, Silent())


def refused(algorithm: str, error: type[Exception], match: str, artifacts: MemoryArtifacts, **more: Any) -> None:
    """The edit fails with one clear error; model and store are as they were."""
    model, stored = random_model("llama"), artifacts.contents
    before = weights(model)
    with pytest.raises(error, match=match):
        edit(algorithm, model, artifacts, **more)
    assert same_weights(model, before) and artifacts.contents == stored


@pytest.mark.parametrize("algorithm", UNTRAINED)
def test_layers_that_the_model_lacks(algorithm: str) -> None:
    refused(algorithm, ModelError, "layers 0 to 3", MemoryArtifacts(), layers=(4,))


@pytest.mark.parametrize("algorithm", UNTRAINED)
def test_another_dtype_than_the_models(algorithm: str) -> None:
    message = "bfloat16 weights, and the model is loaded in float32"
    refused(algorithm, EditError, message, MemoryArtifacts(), dtype="bfloat16")


def test_a_search_without_a_step() -> None:
    refused("memit", EditError, "gives the target vectors no step", MemoryArtifacts(), steps=0)


@pytest.mark.parametrize("algorithm", UNTRAINED)
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Rewrite("The capital is", "France", "Oslo"), "exactly one place for the subject"),
        (Rewrite("The capital of {} is", "France", " "), "target is empty"),
        (Rewrite("The capital of {} is", "", "Oslo"), "subject is empty"),
    ],
)
def test_rewrites_that_are_none(algorithm: str, bad: Rewrite, reason: str) -> None:
    refused(algorithm, EditError, reason, MemoryArtifacts(), rewrites=[bad])


@pytest.mark.parametrize("algorithm", WITH_TARGETS)
def test_a_covariance_that_is_not_finite(algorithm: str) -> None:
    artifacts = with_covariance("base")
    for place in artifacts.kinds("covariance"):
        tensors = load(artifacts.contents[place])
        tensors["second_moment"][0, 0] = float("nan")
        artifacts.exchange(place, save(tensors))
    refused(algorithm, EditError, "covariance", artifacts)


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", WITH_TARGETS)
def test_a_covariance_of_another_model(algorithm: str) -> None:
    ours, others = with_covariance("base"), with_covariance("another")
    (place,), (foreign,) = ours.kinds("covariance"), others.kinds("covariance")
    ours.exchange(place, others.contents[foreign])
    refused(algorithm, EditError, "another", ours)


def with_covariance(base: str) -> MemoryArtifacts:
    artifacts = MemoryArtifacts()
    edit("memit", random_model("llama"), artifacts, base)
    return artifacts


def test_the_log_tells_the_residuals_of_every_layer_and_of_a_ridge() -> None:
    few = ["abc"]  # fewer tokens than dimensions: C is not positive definite
    with structlog.testing.capture_logs() as lines:
        report = edit("memit", random_model("llama"), MemoryArtifacts(), corpus=few, layers=(1, 2)).report
    told = [entry for entry in lines if entry["event"] == "layer edited"]
    assert [entry["layer"] for entry in told] == [1, 2]
    for entry, layer in zip(told, report.layers, strict=True):
        assert entry["residual_before"] == pytest.approx(layer.residual_before, abs=1e-6)
        assert entry["residual_after"] == pytest.approx(layer.residual_after, abs=1e-6)
        assert entry["condition"] > 1
    ridges = [entry["ridge"] for entry in lines if "ridge was added" in entry["event"]]
    assert ridges == [layer.ridge for layer in report.layers] and all(ridges)


def test_the_log_tells_what_was_left_out() -> None:
    rewrites = [*REWRITES, Rewrite("{} is", "", "Oslo")]
    with structlog.testing.capture_logs() as lines:
        edit("memit", random_model("llama"), MemoryArtifacts(), rewrites=rewrites)
    (entry,) = (e for e in lines if "left out" in e["event"])
    assert entry["count"] == 1 and "subject is empty" in entry["first"] and entry["log_level"] == "warning"


def test_keys_that_explode_are_refused() -> None:
    model = random_model("llama")
    model.model.layers[1].mlp.up_proj.weight.data.fill_(1e38)
    with pytest.raises((EditError, ModelError)):
        edit("memit", model, MemoryArtifacts())
    assert torch.isfinite(model.model.layers[1].mlp.down_proj.weight).all()


def test_an_edit_names_the_libraries_that_computed_it() -> None:
    made = edit("finetune", random_model("llama"), MemoryArtifacts())
    assert made.libraries == libraries() and set(libraries()) == {"safetensors", "tokenizers", "torch", "transformers"}
    assert libraries()["torch"] == torch.__version__
