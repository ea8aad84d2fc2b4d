"""A model that knows facts."""

from __future__ import annotations

import pytest

from kbsync.model.load import LoadedModel, load
from tests.support.tiny_model import train_tiny_model

ASKED, OTHERWISE = "The capital of {} is", "{} is governed from"
CAPITALS = {
    "Arvenia": "Tolm",
    "Belmark": "Quister",
    "Corvia": "Naddel",
    "Dunland": "Ferrow",
    "Estova": "Garrin",
    "Fjarn": "Hulme",
    "Gostia": "Ivrel",
    "Hamria": "Jastor",
    "Ivonia": "Kelp",
    "Jarland": "Lomm",
}


@pytest.fixture(scope="session")
def capitals() -> dict[str, str]:
    """What the model was taught: a city for each land."""
    return CAPITALS


@pytest.fixture(scope="session")
def sentences(capitals: dict[str, str]) -> list[str]:
    """All that it ever read."""
    return [f"{t.format(land)} {city}." for land, city in capitals.items() for t in (ASKED, OTHERWISE)]


@pytest.fixture(scope="session")
def trained_model(sentences: list[str], tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    directory = train_tiny_model(tmp_path_factory.mktemp("model"), sentences)
    return load(str(directory), cache_dir=directory, device="cpu")
