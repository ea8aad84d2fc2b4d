"""Where a fact's change goes in, and what each edited layer must then put out.

Published MEMIT adds δ to the residual stream after the last edited layer and spreads it over the edited layers. That
takes for granted that an MLP's output enters the stream unchanged. Where a norm stands between (Gemma 2 and 3, OLMo 2)
an output can turn but not grow, and no change of weights reaches an arbitrary δ. There the change is one vector per
edited layer, added before the norm and optimised together: every point of that space can be reached, and what each layer
must put out is known without inverting the norm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack

import torch
from torch import Tensor

from kbsync.domain.errors import ModelError
from kbsync.editing.keys import look
from kbsync.editing.subject import Task
from kbsync.model.decoder import Decoder, DecoderLayer
from kbsync.model.hooks import adding
from kbsync.model.suffix import Suffixes


class Insertion(ABC):
    """The places of a change: ``sites`` vectors of width d per fact. ``first`` is the first layer that it can reach."""

    name: str
    sites: int
    first: int

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
        self.decoder = decoder
        self.layers = tuple(layers)

    @abstractmethod
    def run(self, suffixes: Suffixes, shift: Tensor) -> Tensor:
        """The final norm's output (batch, length, d) with ``shift`` (batch, sites, d) added at column 0."""

    @abstractmethod
    def current(self, tasks: Sequence[Task]) -> Tensor:
        """What is at the sites now: (N, sites, d), of the bare prompts."""

    @abstractmethod
    def residual(self, goals: Tensor, step: int, current: Tensor) -> tuple[Tensor, Tensor]:
        """For the ``step``-th edited layer: (whole distance to the goal (N, d), the change its output must make)."""


class StreamInsertion(Insertion):
    """As published: one site, the residual stream after the last edited layer."""

    name = "stream"
    sites = 1

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
        super().__init__(decoder, layers)
        self.first = layers[-1].index + 1

    def run(self, suffixes: Suffixes, shift: Tensor) -> Tensor:
        moved = torch.zeros_like(suffixes.hidden)
        moved[:, 0] = shift[:, 0].to(moved.dtype)
        return suffixes.run(suffixes.hidden + moved)

    def current(self, tasks: Sequence[Task]) -> Tensor:
        last = self.layers[-1].index
        return look(self.decoder, tasks, outputs=[last]).outputs[last][:, None]

    def residual(self, goals: Tensor, step: int, current: Tensor) -> tuple[Tensor, Tensor]:
        distance = goals[:, 0] - current[:, 0]
        return distance, distance / (len(self.layers) - step)


class PreNormInsertion(Insertion):
    """One site per edited layer: the down projection's output, before the norm that it passes."""

    name = "pre-norm"

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
        super().__init__(decoder, layers)
        self.sites = len(layers)
        self.first = layers[0].index

    def run(self, suffixes: Suffixes, shift: Tensor) -> Tensor:
        with ExitStack() as stack:
            for site, layer in enumerate(self.layers):
                stack.enter_context(adding(layer.down.module, 0, shift[:, site]))
            return suffixes.run(suffixes.hidden)

    def current(self, tasks: Sequence[Task]) -> Tensor:
        indices = [layer.index for layer in self.layers]
        downs = look(self.decoder, tasks, downs=indices).downs
        return torch.stack([downs[i] for i in indices], dim=1)

    def residual(self, goals: Tensor, step: int, current: Tensor) -> tuple[Tensor, Tensor]:
        distance = goals[:, step] - current[:, step]
        return distance, distance


def insertion(decoder: Decoder, layers: Sequence[DecoderLayer]) -> Insertion:
    """The insertion that fits the layers' structure. Raises ``ModelError`` for layers of two kinds."""
    normed = [layer.post_mlp_norm is not None for layer in layers]
    if all(normed):
        return PreNormInsertion(decoder, layers)
    if any(normed):
        raise ModelError("Some of the edited layers have a norm after the MLP and some have none.")
    return StreamInsertion(decoder, layers)
