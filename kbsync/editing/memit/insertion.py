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
from kbsync.editing.memit.keys import Climb
from kbsync.model.decoder import Decoder, DecoderLayer
from kbsync.model.hooks import adding, watching
from kbsync.model.suffix import Suffixes, prepare


class Insertion(ABC):
    """The places of a change: ``sites`` vectors of width d per fact. ``first`` is the first layer that it can reach."""

    name: str
    sites: int
    first: int

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
        self.decoder = decoder
        self.layers = tuple(layers)

    @abstractmethod
    def prepare(self, rows: Sequence[tuple[Sequence[int], int]]) -> tuple[Suffixes, Tensor]:
        """The rows (token ids, lookup position) made ready for ``run``, and what is at the sites without any shift."""

    @abstractmethod
    def run(self, suffixes: Suffixes, shift: Tensor) -> tuple[Tensor, Tensor]:
        """Add ``shift`` (batch, sites, d) at column 0: the final norm's output (batch, length, d), and what then is at
        the sites (batch, sites, d), which includes what a shift does to the sites above it."""

    @abstractmethod
    def residual(self, goals: Tensor, climb: Climb, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """Before the ``step``-th edited layer changes: the facts' keys (N, m), their distance to the goal (N, d), and
        the change that this layer's output must make (N, d). ``goals`` are (N, sites, d)."""

    @abstractmethod
    def remainder(self, goals: Tensor, climb: Climb, step: int) -> Tensor:
        """Pass the ``step``-th edited layer, which has been changed; the distance to the goal that is left (N, d)."""


class StreamInsertion(Insertion):
    """As published: one site, the residual stream after the last edited layer."""

    name = "stream"
    sites = 1

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
        super().__init__(decoder, layers)
        self.first = layers[-1].index + 1

    def prepare(self, rows: Sequence[tuple[Sequence[int], int]]) -> tuple[Suffixes, Tensor]:
        suffixes = prepare(self.decoder, rows, self.first)
        return suffixes, suffixes.hidden[:, :1]

    def run(self, suffixes: Suffixes, shift: Tensor) -> tuple[Tensor, Tensor]:
        moved = torch.zeros_like(suffixes.hidden)
        moved[:, 0] = shift[:, 0].to(moved.dtype)
        hidden = suffixes.hidden + moved
        return suffixes.run(hidden), hidden[:, :1]

    def residual(self, goals: Tensor, climb: Climb, step: int) -> tuple[Tensor, Tensor, Tensor]:
        distance = goals[:, 0] - climb.stream(step)
        return climb.look(step)[0], distance, distance / (len(self.layers) - step)

    def remainder(self, goals: Tensor, climb: Climb, step: int) -> Tensor:
        climb.advance(step)
        return goals[:, 0] - climb.stream(step + 1)


class PreNormInsertion(Insertion):
    """One site per edited layer: the down projection's output, before the norm that it passes."""

    name = "pre-norm"

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
        super().__init__(decoder, layers)
        self.sites = len(layers)
        self.first = layers[0].index

    def prepare(self, rows: Sequence[tuple[Sequence[int], int]]) -> tuple[Suffixes, Tensor]:
        indices = [layer.index for layer in self.layers]
        with watching(self.decoder, downs=indices) as seen:
            suffixes = prepare(self.decoder, rows, self.first)  # the suffixes run last, and so are what was seen
        return suffixes, torch.stack([seen.downs[i][:, 0] for i in indices], dim=1)

    def run(self, suffixes: Suffixes, shift: Tensor) -> tuple[Tensor, Tensor]:
        indices = [layer.index for layer in self.layers]
        with ExitStack() as stack:
            for site, layer in enumerate(self.layers):
                stack.enter_context(adding(layer.down.module, 0, shift[:, site]))
            seen = stack.enter_context(watching(self.decoder, downs=indices))
            normed = suffixes.run(suffixes.hidden)
        return normed, torch.stack([seen.downs[i][:, 0] for i in indices], dim=1)

    def residual(self, goals: Tensor, climb: Climb, step: int) -> tuple[Tensor, Tensor, Tensor]:
        keys, outputs = climb.look(step)
        distance = goals[:, step] - outputs
        return keys, distance, distance

    def remainder(self, goals: Tensor, climb: Climb, step: int) -> Tensor:
        return goals[:, step] - climb.advance(step)


def insertion(decoder: Decoder, layers: Sequence[DecoderLayer]) -> Insertion:
    """The insertion that fits the layers' structure. Raises ``ModelError`` for layers of two kinds."""
    normed = [layer.post_mlp_norm is not None for layer in layers]
    if all(normed):
        return PreNormInsertion(decoder, layers)
    if any(normed):
        raise ModelError("Some of the edited layers have a norm after the MLP and some have none.")
    return StreamInsertion(decoder, layers)
