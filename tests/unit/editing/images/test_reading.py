"""What a name is drawn as, read from the denoiser's predictions."""

from __future__ import annotations

import pytest

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.images.editor import concept_recipe
from kbsync.editing.images.pipeline import TextToImage
from kbsync.editing.images.reading import ConceptReader
from tests.support.random_pipelines import KINDS, edited

DESCRIPTIONS = ("the red flag", "the blue flag", "the green flag")


@pytest.mark.parametrize("kind", KINDS)
def test_a_description_is_read_as_itself(kind: str) -> None:
    reader = ConceptReader(TextToImage(KINDS[kind](), kind), DESCRIPTIONS)
    assert reader.read(DESCRIPTIONS) == list(DESCRIPTIONS)


@pytest.mark.slow
def test_an_edited_name_is_read_as_its_guide() -> None:
    image = TextToImage(KINDS["sd"](), "sd")
    reader = ConceptReader(image, DESCRIPTIONS)
    names = ("kelia", "zania")
    prompts = [f"the flag of {name}" for name in names]
    for guide in DESCRIPTIONS:
        rewrites = [Rewrite("the flag of {}", name, guide) for name in names]
        delta, _ = edited(image, rewrites, concept_recipe(image, identity_weight=1e-3))
        assert reader.read(prompts, delta) == [guide] * 2


def test_nothing_is_read_of_nothing() -> None:
    assert ConceptReader(TextToImage(KINDS["sd"](), "sd"), DESCRIPTIONS).read([]) == []
