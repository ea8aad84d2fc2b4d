"""Where δ is added, and what each edited layer must then put out: the residuals R that the layers share.

Published MEMIT adds δ to the residual stream after the last edited layer and spreads it over the edited layers. That
takes for granted that an MLP's output enters the stream unchanged. In models with sandwich norms (Gemma 2 and 3, OLMo
2) a norm stands between, so an output can turn but not grow, and no change of weights reaches an arbitrary δ. There δ
is one vector for each edited layer, added before the norm, and all of them are optimised together: every point of that
space can be reached, and what each layer must put out is known without inverting the norm (ADR 0004). The same is done
where an output is multiplied or gated, or is the attention's, so that the MLP of the layer reads it, too (ADR 0034).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor

from kbsync.editing.memit.layerwise_forward import LayerwiseForward
from kbsync.model.decoder import Decoder, DecoderLayer
from kbsync.model.hooks import activations, add_to_output, record_activations
from kbsync.model.suffix import Suffixes, prepare_suffixes


class Insertion(ABC):
    """The sites of a change: ``sites`` vectors of width d for each fact, at the subject's last token."""

    name: str
    """Stands in the cache keys of target vectors, and so never changes."""
    sites: int
    first: int
    """The lowest layer that the change can reach."""

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
        """``layers``: the edited ones, ascending."""
        self.decoder = decoder
        self.layers = tuple(layers)

    @abstractmethod
    def prepare(self, rows: Sequence[tuple[Sequence[int], int]]) -> tuple[Suffixes, Tensor]:
        """Compute all that a change does not reach.

        Args:
            rows: Token ids and lookup position of each prompt.

        Returns:
            The rows, ready for ``run``, and h₀ (batch, sites, d): what is at the sites without a change.
        """

    @abstractmethod
    def run(self, suffixes: Suffixes, delta: Tensor) -> tuple[Tensor, Tensor]:
        """Add δ at the lookup positions, which are column 0.

        Args:
            delta: δ (batch, sites, d).

        Returns:
            The final norm's output (batch, length, d), and what is then at the sites (batch, sites, d). The latter
            includes what a change at one site does to the sites above it.
        """

    @abstractmethod
    def at_sites(self, rows: Sequence[Sequence[int]], delta: Tensor) -> Tensor:
        """Add one δ (sites, d) at the last token of each row of token ids; no layer above the last site runs.

        Returns:
            What is then at the sites (batch, sites, d).
        """

    @abstractmethod
    def residual(self, targets: Tensor, forward: LayerwiseForward) -> tuple[Tensor, Tensor, Tensor]:
        """What the layer before which ``forward`` stands has to do.

        Args:
            targets: z (N, sites, d).

        Returns:
            The facts' keys (N, m); z − h (N, d), the distance to the target that is left; and R (N, d), the change
            that this layer's output must make.
        """

    @abstractmethod
    def pass_layer(self, targets: Tensor, forward: LayerwiseForward) -> Tensor:
        """Let ``forward`` pass the layer, which has been edited.

        Returns:
            The distance (N, d) to the targets ``targets`` (N, sites, d) that is left.
        """


class StreamInsertion(Insertion):
    """As published: one site, the residual stream after the last edited layer (equation 20)."""

    name = "stream"
    sites = 1

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
        super().__init__(decoder, layers)
        self.first = layers[-1].index + 1

    def prepare(self, rows: Sequence[tuple[Sequence[int], int]]) -> tuple[Suffixes, Tensor]:
        suffixes = prepare_suffixes(self.decoder, rows, self.first)
        return suffixes, suffixes.hidden[:, :1]

    def run(self, suffixes: Suffixes, delta: Tensor) -> tuple[Tensor, Tensor]:
        added = torch.zeros_like(suffixes.hidden)
        added[:, 0] = delta[:, 0].to(added.dtype)
        hidden = suffixes.hidden + added
        return suffixes.run(hidden), hidden[:, :1]

    @torch.no_grad()
    def at_sites(self, rows: Sequence[Sequence[int]], delta: Tensor) -> Tensor:
        inputs, last = padded(self.decoder, rows)
        top = self.layers[-1].index
        stream = activations(self.decoder, inputs, outputs=[top]).outputs[top]
        return (stream[torch.arange(len(rows)), last] + delta[0].to(stream.dtype))[:, None]

    def residual(self, targets: Tensor, forward: LayerwiseForward) -> tuple[Tensor, Tensor, Tensor]:
        distance = targets[:, 0] - forward.residual_stream()
        layers_left = len(self.layers) - forward.position
        return forward.inspect()[0], distance, distance / layers_left

    def pass_layer(self, targets: Tensor, forward: LayerwiseForward) -> Tensor:
        forward.step()
        return targets[:, 0] - forward.residual_stream()


class SandwichNormInsertion(Insertion):
    """One site for each edited layer: the edited map's output, before the norm that it passes, the factor by which it
    is multiplied, or whatever else stands between it and the residual stream."""

    name = "pre-norm"

    def __init__(self, decoder: Decoder, layers: Sequence[DecoderLayer]) -> None:
        super().__init__(decoder, layers)
        self.sites = len(layers)
        self.first = layers[0].index

    def prepare(self, rows: Sequence[tuple[Sequence[int], int]]) -> tuple[Suffixes, Tensor]:
        indices = [layer.index for layer in self.layers]
        with record_activations(self.decoder, downs=indices) as seen:
            suffixes = prepare_suffixes(
                self.decoder, rows, self.first
            )  # the suffixes run last, so they are what was seen
        return suffixes, torch.stack([seen.downs[i][:, suffixes.column] for i in indices], dim=1)

    def run(self, suffixes: Suffixes, delta: Tensor) -> tuple[Tensor, Tensor]:
        indices = [layer.index for layer in self.layers]
        with ExitStack() as stack:
            for site, layer in enumerate(self.layers):
                stack.enter_context(add_to_output(layer.down.module, suffixes.column, delta[:, site]))
            seen = stack.enter_context(record_activations(self.decoder, downs=indices))
            normed = suffixes.run(suffixes.hidden)
        return normed, torch.stack([seen.downs[i][:, suffixes.column] for i in indices], dim=1)

    @torch.no_grad()
    def at_sites(self, rows: Sequence[Sequence[int]], delta: Tensor) -> Tensor:
        inputs, last = padded(self.decoder, rows)
        indices, every = [layer.index for layer in self.layers], torch.arange(len(rows))
        with ExitStack() as stack:
            for site, layer in enumerate(self.layers):
                shift = delta[site].expand(len(rows), -1)
                stack.enter_context(add_to_output(layer.down.module, last, shift))
            seen = activations(self.decoder, inputs, downs=indices)
        return torch.stack([seen.downs[i][every, last] for i in indices], dim=1)

    def residual(self, targets: Tensor, forward: LayerwiseForward) -> tuple[Tensor, Tensor, Tensor]:
        site = forward.position
        keys, outputs = forward.inspect()
        distance = targets[:, site] - outputs
        return keys, distance, distance

    def pass_layer(self, targets: Tensor, forward: LayerwiseForward) -> Tensor:
        site = forward.position
        return targets[:, site] - forward.step()


def padded(decoder: Decoder, rows: Sequence[Sequence[int]]) -> tuple[dict[str, Any], Tensor]:
    """Arguments of a forward pass over rows that are padded on the right, and the column of each row's last token."""
    tokens = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.long)
    for row, ids in enumerate(rows):
        tokens[row, : len(ids)] = torch.tensor(ids)
    return {"input_ids": tokens.to(decoder.model.device), "use_cache": False}, torch.tensor([len(r) - 1 for r in rows])


def insertion_for(decoder: Decoder, layers: Sequence[DecoderLayer]) -> Insertion:
    """The insertion that fits the layers' structure: as published where all of them add to the stream directly."""
    kind = StreamInsertion if all(layer.direct for layer in layers) else SandwichNormInsertion
    return kind(decoder, layers)
