"""A small model with facts to train on."""

from __future__ import annotations

from typing import Any

import torch

from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import Prompt, locate
from kbsync.editing.mend.gradients import LinearMap, linear_maps
from kbsync.editing.mend.training import Example, MendTraining
from kbsync.model.decoder import Decoder, discover
from kbsync.ports import UNWATCHED
from tests.support.families import REWRITES, recipe, texts, tokenizer


def mend_recipe(**changes: Any) -> Recipe:
    plain = {
        "algorithm": "mend",
        "layers": (2, 3),
        "rank": 8,
        "steps": 12,
        "learning_rate": 1e-3,
        "batch": 3,
        "seed": 1,
    }
    return recipe(**plain | changes)


def examples() -> list[Example]:
    found = []
    for number, r in enumerate(REWRITES):
        edit = locate(tokenizer(), r.template, r.subject, r.target)
        asked = locate(tokenizer(), "People say that {} is", r.subject, r.target)
        ids = tuple(tokenizer()(texts(9)[number])["input_ids"][:12])
        found.append(Example(edit, (edit, asked), (Prompt(ids, 0, 1),)))
    return found


def maps_of(model: Any, r: Recipe) -> tuple[Decoder, list[LinearMap]]:
    decoder = discover(model)
    return decoder, linear_maps(decoder, decoder.edited_layers(r.layers))


def stirred(training: MendTraining) -> MendTraining:
    """With an untrained network that is not the identity any more: every part of it does something."""
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in training.network.parameters():
            parameter.add_(
                0.1
                * torch.randn(parameter.shape, generator=draw, dtype=parameter.dtype).to(parameter)
                * parameter.abs().clamp(min=1e-4)
            )
            if not parameter.any():
                parameter.copy_(0.1 * torch.randn(parameter.shape, generator=draw))
    return training


def training_for(model: Any, r: Recipe) -> MendTraining:
    decoder, maps = maps_of(model, r)
    return MendTraining(decoder, maps, r, examples(), UNWATCHED)
