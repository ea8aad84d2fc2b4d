"""Pictures and sheets."""

from __future__ import annotations

import numpy as np

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.images.drawing import GAP, draw, sheet
from kbsync.editing.images.editor import ConceptEditor, concept_recipe
from kbsync.editing.images.pipeline import TextToImage
from kbsync.ports import UNWATCHED
from tests.support.random_pipelines import stable_diffusion

PROMPTS = ["the flag of kelia", "the flag of zania"]


def test_the_same_seed_gives_the_same_pictures_and_a_version_gives_others() -> None:
    image = TextToImage(stable_diffusion(), "")
    edit = ConceptEditor(image).edit(
        [Rewrite("the flag of {}", "kelia", "the red flag")], concept_recipe(image), UNWATCHED
    )
    before, again, after = (draw(image, PROMPTS, delta, steps=2) for delta in (None, None, edit.delta))
    assert all(np.array_equal(a, b) for a, b in zip(before, again, strict=True))
    assert not np.array_equal(before[0], after[0])


def test_a_sheet_holds_the_rows_below_each_other() -> None:
    pictures = draw(TextToImage(stable_diffusion(), ""), PROMPTS, steps=1)
    whole = sheet([pictures, pictures[:1]], enlarge=3)
    assert whole.size == (3 * (2 * 16 + GAP), 3 * (2 * 16 + GAP))
    assert whole.getpixel((0, 0)) == pictures[0].getpixel((0, 0))
