"""Pictures and sheets."""

from __future__ import annotations

import numpy as np
import pytest

from kbsync.domain.rewrite import Rewrite
from kbsync.editing.images.drawing import GAP, draw, sheet
from kbsync.editing.images.editor import concept_recipe
from kbsync.editing.images.pipeline import TextToImage
from tests.support.random_pipelines import edited, stable_diffusion

PROMPTS = ["the flag of kelia", "the flag of zania"]


@pytest.mark.slow
def test_the_same_seed_gives_the_same_pictures_and_a_version_gives_others() -> None:
    image = TextToImage(stable_diffusion(), "")
    delta, _ = edited(image, [Rewrite("the flag of {}", "kelia", "the red flag")], concept_recipe(image))
    before, again, after = (draw(image, PROMPTS, one, steps=2) for one in (None, None, delta))
    assert all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in zip(before, again, strict=True))
    assert not np.array_equal(np.asarray(before[0]), np.asarray(after[0]))


def test_a_sheet_holds_the_rows_below_each_other() -> None:
    pictures = draw(TextToImage(stable_diffusion(), ""), PROMPTS, steps=1)
    whole = sheet([pictures, pictures[:1]], enlarge=3)
    assert whole.size == (3 * (2 * 16 + GAP), 3 * (2 * 16 + GAP))
    assert whole.getpixel((0, 0)) == pictures[0].getpixel((0, 0))
