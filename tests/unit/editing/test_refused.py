"""Bad input: each one clear error, nothing half-written, for every algorithm; and what the log tells of a good edit."""

from __future__ import annotations

import pytest
import structlog
import torch
from safetensors.torch import load, save

from kbsync.domain.errors import EditError, ModelError
from kbsync.domain.recipe import ALGORITHMS
from kbsync.domain.rewrite import Rewrite
from kbsync.editing.editors import EDITORS
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

WEIGHED = tuple(a for a in ALGORITHMS if a != "finetune")
"""Those that need a covariance."""


def edit(algorithm: str, model, artifacts, base: str = "base", corpus=None, rewrites=REWRITES[:1], **changes: object):
    r = recipe(**{"algorithm": algorithm, "layers": (1,), "steps": 2} | changes)
    corpus = texts() if corpus is None else corpus
    return EDITORS[algorithm](model, tokenizer(), base, artifacts, corpus).edit(rewrites, r, Silent())


def refused(algorithm: str, error: type[Exception], match: str, artifacts: MemoryArtifacts, **more: object) -> None:
    """The edit fails with one clear error; model and store are as they were."""
    model, kept = random_model("llama"), dict(artifacts.blobs)
    before = weights(model)
    with pytest.raises(error, match=match):
        edit(algorithm, model, artifacts, **more)
    assert same_weights(model, before) and artifacts.blobs == kept


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_layers_that_the_model_lacks(algorithm):
    refused(algorithm, ModelError, "layers 0 to 3", MemoryArtifacts(), layers=(4,))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_dtype_than_the_models(algorithm):
    refused(
        algorithm,
        EditError,
        "bfloat16 weights, and the model is loaded in float32",
        MemoryArtifacts(),
        dtype="bfloat16",
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (Rewrite("The capital is", "France", "Oslo"), "exactly one place for the subject"),
        (Rewrite("The capital of {} is", "France", " "), "target is empty"),
        (Rewrite("The capital of {} is", "", "Oslo"), "subject is empty"),
    ],
)
def test_requests_that_are_none(algorithm, bad, reason):
    refused(algorithm, EditError, reason, MemoryArtifacts(), rewrites=[bad])


@pytest.mark.parametrize("algorithm", WEIGHED)
def test_a_covariance_that_is_not_finite(algorithm):
    artifacts = stored("base")
    for place in [p for p in artifacts.blobs if p[0] == "covariance"]:
        tensors = load(artifacts.blobs[place])
        tensors["second_moment"][0, 0] = float("nan")
        artifacts.blobs[place] = save(tensors)
    refused(algorithm, EditError, "covariance", artifacts)


@pytest.mark.parametrize("algorithm", WEIGHED)
def test_a_covariance_of_another_model(algorithm):
    ours, others = stored("base"), stored("another")
    (place,) = (p for p in ours.blobs if p[0] == "covariance")
    (blob,) = (b for p, b in others.blobs.items() if p[0] == "covariance")
    ours.blobs[place] = blob
    refused(algorithm, EditError, "another", ours)


def stored(base: str) -> MemoryArtifacts:
    artifacts = MemoryArtifacts()
    edit("memit", random_model("llama"), artifacts, base)
    return artifacts


def test_the_log_tells_the_residuals_of_every_layer_and_of_a_ridge():
    few = ["abc"]  # fewer tokens than dimensions: C is not positive definite
    with structlog.testing.capture_logs() as said:
        made = edit("memit", random_model("llama"), MemoryArtifacts(), corpus=few, layers=(1, 2))
    told = [entry for entry in said if entry["event"] == "layer edited"]
    assert [entry["layer"] for entry in told] == [1, 2]
    for entry, layer in zip(told, made.report.layers, strict=True):
        assert entry["residual_before"] == pytest.approx(layer.residual_before, abs=1e-6)
        assert entry["residual_after"] == pytest.approx(layer.residual_after, abs=1e-6)
        assert entry["condition"] > 1
    ridges = [entry["ridge"] for entry in said if "ridge was added" in entry["event"]]
    assert ridges == [layer.ridge for layer in made.report.layers] and all(ridges)


def test_the_log_tells_what_was_left_out():
    with structlog.testing.capture_logs() as said:
        edit("memit", random_model("llama"), MemoryArtifacts(), rewrites=[*REWRITES, Rewrite("{} is", "", "Oslo")])
    (entry,) = (e for e in said if "left out" in e["event"])
    assert entry["count"] == 1 and "subject is empty" in entry["first"] and entry["log_level"] == "warning"


def test_keys_that_explode_are_refused():
    model = random_model("llama")
    model.model.layers[1].mlp.up_proj.weight.data.fill_(1e38)
    with pytest.raises((EditError, ModelError)):
        edit("memit", model, MemoryArtifacts())
    assert torch.isfinite(model.model.layers[1].mlp.down_proj.weight).all()
