"""Facts of the ledger are traced in a real transformer, and a killed run goes on where it was."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.editing.tracing.layer_tracer import KIND, TorchLayerTracer
from kbsync.model.language_model import TorchLanguageModel
from kbsync.model.load import LoadedModel
from kbsync.ports import TracedFact
from kbsync.testing import MemoryArtifactStore
from tests.support.families import LAYERS, SANDWICH, random_model, tokenizer

SUBJECTS = ("France", "Norway", "Acme Inc.")
TEMPLATE = "The capital of {} is"


def loaded(family: str) -> LoadedModel:
    model = random_model(family).requires_grad_(False)
    return LoadedModel(model, tokenizer(), f"random {family}", family, Path())


def facts(model: LoadedModel) -> list[TracedFact]:
    """What the model says of each subject."""
    asked = TorchLanguageModel(model.model, model.tokenizer, model.fingerprint)
    answers = asked.complete([TEMPLATE.format(subject) for subject in SUBJECTS], max_new_tokens=2)
    return [TracedFact(TEMPLATE, s, answer.strip()) for s, answer in zip(SUBJECTS, answers, strict=True)]


def test_facts_that_the_model_knows_are_traced_and_kept() -> None:
    model, artifacts = loaded("llama"), MemoryArtifactStore()
    unlocatable = TracedFact("no place for a subject", "France", "Paris")
    tracer = TorchLayerTracer(model, artifacts)
    first = tracer.trace([*facts(model), unlocatable])
    assert first.layers == LAYERS
    assert 0 < first.facts <= len(SUBJECTS)
    assert set(first.suggested) <= set(range(LAYERS))
    kept = {key for kind, key in artifacts.blobs if kind == KIND}
    assert len(kept) == first.facts
    assert tracer.trace([*facts(model), unlocatable]) == first


@pytest.mark.parametrize("family", ["llama", "gemma3"])
def test_a_norm_behind_the_mlp_is_told(family: str) -> None:
    assert TorchLayerTracer(loaded(family), MemoryArtifactStore()).trace([]).bounded == (family in SANDWICH)


def test_without_a_fact_that_the_model_knows_nothing_is_suggested() -> None:
    model = loaded("llama")
    wrong = [replace(fact, answer="somewhere else") for fact in facts(model)]
    traced = TorchLayerTracer(model, MemoryArtifactStore()).trace(wrong)
    assert (traced.facts, traced.suggested, traced.layers) == (0, (), LAYERS)
