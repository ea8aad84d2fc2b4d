"""The models and editors: the table behind the stages' tests, and a real transformer with every editor."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.domain.phrasing import fill
from kbsync.domain.recipe import Recipe
from kbsync.editing.editors import EDITORS
from kbsync.model.base import TorchBase
from kbsync.model.delta import FactorDelta
from kbsync.model.load import load
from kbsync.ports import Delta
from kbsync.testing import MemoryArtifactStore, TableBase, TableEditor
from kbsync.testing.conformance import ModelConformance, ModelKit
from kbsync.testing.conformance.models import FACTS, TEMPLATE
from tests.support.tiny_model import train_tiny_model

RECIPE = Recipe(
    name="tiny",
    layers=(0, 1),
    covariance_weight=1.0,
    clamp=4.0,
    steps=40,
    learning_rate=0.3,
    weight_decay=0.0,
    covariance_tokens=2000,
    contexts=("{}", "In short: {}"),
)


RECIPES = {
    "memit": RECIPE,
    "memit-sequential": replace(RECIPE, algorithm="memit-sequential", batch=2),
    "alphaedit": replace(RECIPE, algorithm="alphaedit", batch=2, covariance_weight=0.01),
    "rome": replace(RECIPE, algorithm="rome", layers=(1,)),
    "finetune": replace(RECIPE, algorithm="finetune", layers=(1,), learning_rate=0.1, clamp=3.0, steps=30),
    "breadth-first": replace(RECIPE, algorithm="breadth-first", layers=(1,), learning_rate=0.1, steps=30),
}


class TableKit(ModelKit):
    def __init__(self) -> None:
        self.base = TableBase({fill(TEMPLATE, country): f" {city}." for country, city in FACTS.items()})
        self.editor, self.recipe = TableEditor(), RECIPE

    def same(self, one: Delta, other: Delta) -> bool:
        return one == other


class TransformerKit(ModelKit):
    def __init__(self, algorithm: str, model: Path, cache: Path) -> None:
        loaded = load(str(model), cache_dir=cache, device="cpu")
        texts = [f"{country} is a country, and {city} is a city in it." for country, city in FACTS.items()] * 10
        make = EDITORS[algorithm]
        self.base = TorchBase(loaded)
        self.editor = make(loaded.model, loaded.tokenizer, loaded.fingerprint, MemoryArtifactStore(), texts)
        self.recipe = RECIPES[algorithm]
        self.has_targets = algorithm not in ("finetune", "breadth-first")

    def same(self, one: Delta, other: Delta) -> bool:
        assert isinstance(one, FactorDelta)
        assert isinstance(other, FactorDelta)
        return _bytes(one) == _bytes(other)


def _bytes(delta: FactorDelta) -> dict[str, list[bytes]]:
    return {name: [factor.numpy().tobytes() for factor in pair] for name, pair in delta.factors.items()}


class TestTable(ModelConformance):
    @pytest.fixture
    def kit(self) -> TableKit:
        return TableKit()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sentences = [f"{fill(TEMPLATE, country)} {city}." for country, city in FACTS.items()]
    return train_tiny_model(tmp_path_factory.mktemp("capitals"), sentences)


@pytest.fixture(scope="module", params=RECIPES)
def transformer(
    request: pytest.FixtureRequest, trained: Path, tmp_path_factory: pytest.TempPathFactory
) -> TransformerKit:
    return TransformerKit(request.param, trained, tmp_path_factory.mktemp("models"))


class TestTransformer(ModelConformance):
    @pytest.fixture
    def kit(self, transformer: TransformerKit) -> TransformerKit:
        return transformer
