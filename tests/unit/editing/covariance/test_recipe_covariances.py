"""What a recipe asks of the covariance: how wide, what is stored, measure, forget."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.domain.errors import ModelError
from kbsync.editing.covariance.recipe_covariances import RecipeCovariances
from kbsync.model.load import LoadedModel
from tests.support.families import M, MemoryArtifacts, Silent, random_model, recipe, same_weights, texts, tokenizer
from tests.support.families import weights as weights_of


def loaded() -> LoadedModel:
    return LoadedModel(random_model("llama").train(), tokenizer(), "base", "random", Path())


def test_a_recipes_covariances_are_measured_known_and_forgotten() -> None:
    model, artifacts = loaded(), MemoryArtifacts()
    before = weights_of(model.model)
    ours = RecipeCovariances(model, recipe(layers=(1, 2)), texts(), artifacts)
    assert ours.width == M and ours.known() == []
    measured = ours.measure(Silent())
    assert measured.known == () and ours.known() == [1, 2]
    assert ours.measure(Silent()).fingerprint == measured.fingerprint
    assert same_weights(model.model, before) and model.model.training
    ours.forget()
    assert ours.known() == []


def test_layers_that_the_model_lacks_are_refused_at_once() -> None:
    with pytest.raises(ModelError, match="layers 0 to 3"):
        RecipeCovariances(loaded(), recipe(layers=(4,)), texts(), MemoryArtifacts())
