"""Pictures of a version, and sheets of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from kbsync.editing.images.pipeline import BATCH, TextToImage
from kbsync.editing.images.reading import edited
from kbsync.model.delta import FactorDelta
from kbsync.ports import UNWATCHED, Work

if TYPE_CHECKING:
    from PIL.Image import Image

GAP = 2
"""Pixels between two pictures of a sheet, before it is enlarged."""


def draw(
    image: TextToImage,
    prompts: Sequence[str],
    delta: FactorDelta | None = None,
    *,
    seed: int = 0,
    steps: int = 20,
    guidance: float = 2.0,
    work: Work = UNWATCHED,
) -> list[Image]:
    """Draw one picture for each prompt.

    A picture depends on its prompt, the seed, its place among the prompts and the weights, so that pictures of two
    versions begin with the same noise.

    Args:
        image: The pipeline.
        prompts: What is drawn.
        delta: A version's change; None: the base draws.
        seed: Of the noise.
        steps: Steps of the scheduler.
        guidance: Scale of classifier-free guidance.
        work: Advances by pictures.
    """
    pictures: list[Image] = []
    work.start("drawing", len(prompts))
    with torch.no_grad(), edited(image, delta):
        for start in range(0, len(prompts), BATCH):
            batch = list(prompts[start : start + BATCH])
            generators = [torch.Generator().manual_seed(seed * 1_000_003 + start + i) for i in range(len(batch))]
            drawn = image.pipeline(
                batch,
                height=image.side,
                width=image.side,
                num_inference_steps=steps,
                guidance_scale=guidance,
                generator=generators,
            )
            pictures += drawn.images
            work.advance(len(batch))
    work.finish("")
    return pictures


def sheet(rows: Sequence[Sequence[Image]], *, enlarge: int = 1) -> Image:
    """One picture of many: each row side by side, the rows below each other.

    Args:
        rows: Pictures of one size.
        enlarge: Each pixel becomes so many in both directions.
    """
    from PIL import Image as PillowImage

    width, height = rows[0][0].size
    columns = max(len(row) for row in rows)
    whole = PillowImage.new("RGB", (columns * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            whole.paste(picture, (x * (width + GAP), y * (height + GAP)))
    return whole.resize((whole.width * enlarge, whole.height * enlarge), PillowImage.Resampling.NEAREST)
