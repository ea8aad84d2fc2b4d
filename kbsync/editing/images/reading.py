"""What a pipeline draws for a name, told without looking at pictures: by the prediction that its denoiser makes.

A denoiser that draws the same for two prompts predicts the same from the same noise. So the description whose
prediction (of the unedited denoiser) is nearest to the name's is what the name is drawn as. This needs no other model
that looks at pictures, and costs a few passes of the denoiser for each prompt.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from kbsync.editing.images.pipeline import BATCH, TextToImage
from kbsync.model.delta import FactorDelta, applied
from kbsync.ports import UNWATCHED, Work

MOMENTS = (0.95, 0.8, 0.65)
"""When the denoiser is asked, as shares of the training's time steps: where it decides what there is to see."""


class ConceptReader:
    """Tells which of some descriptions each name is drawn as."""

    def __init__(self, image: TextToImage, descriptions: Sequence[str], *, work: Work = UNWATCHED):
        """Ask the unedited denoiser for every description.

        Args:
            image: The pipeline.
            descriptions: At least one; each is what a name may be drawn as.
            work: Advances by prompts.
        """
        self._image, self._work = image, work
        self._noise = torch.randn(len(MOMENTS), *image.latent, generator=torch.Generator().manual_seed(0))
        steps = image.pipeline.scheduler.config.num_train_timesteps
        self._times = torch.tensor([int(share * steps) for share in MOMENTS])
        self._descriptions = tuple(descriptions)
        self._known = self._predictions(self._descriptions)

    def read(self, prompts: Sequence[str], delta: FactorDelta | None = None) -> list[str]:
        """The description that each prompt is drawn as.

        Args:
            prompts: Names in their template.
            delta: A version's change; None: the base is asked.
        """
        with edited(self._image, delta):
            asked = self._predictions(prompts)
        nearest = torch.cdist(asked, self._known).argmin(dim=1)
        return [self._descriptions[int(index)] for index in nearest]

    @torch.no_grad()
    def _predictions(self, prompts: Sequence[str]) -> Tensor:
        """(n, all numbers of the predictions at every moment), float64."""
        self._work.start("reading", len(prompts))
        rows = []
        for start in range(0, len(prompts), BATCH):
            batch = list(prompts[start : start + BATCH])
            states = self._image.states(batch)
            more = _second_encoder(self._image, states.pooled)
            said = [
                self._image.denoiser(
                    noise.expand(len(batch), -1, -1, -1).to(states.hidden.device),
                    time,
                    encoder_hidden_states=states.hidden,
                    return_dict=False,
                    **more,
                )[0]
                for noise, time in zip(self._noise, self._times, strict=True)
            ]
            rows.append(torch.stack(said, dim=1).flatten(1).double().cpu())
            self._work.advance(len(batch))
        self._work.finish("")
        return torch.cat(rows) if rows else torch.zeros(0, self._noise.numel(), dtype=torch.float64)


def edited(image: TextToImage, delta: FactorDelta | None) -> AbstractContextManager[None]:
    """Inside the block the pipeline draws as a version does; None: as the base."""
    return applied(image.denoiser, delta) if delta is not None else nullcontext()


def _second_encoder(image: TextToImage, pooled: Tensor | None) -> dict[str, dict[str, Tensor]]:
    """What SDXL's denoiser takes beside the text's states: the pooled state, and that the picture is not cropped."""
    if pooled is None:
        return {}
    side = float(image.side)
    sizes = torch.tensor([[side, side, 0.0, 0.0, side, side]], device=pooled.device).expand(len(pooled), -1)
    return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}
