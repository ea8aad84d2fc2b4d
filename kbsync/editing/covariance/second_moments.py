"""Second moments Σ k kᵀ of keys, summed over a corpus batch by batch. The sums are float64 and survive a kill.

One pass serves all layers and stops at the last of them (MEMIT, section 4.2 and appendix B).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from safetensors.torch import load, save
from torch import Tensor

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import EditError
from kbsync.editing.covariance.corpus import Batch, Corpus
from kbsync.model.decoder import Decoder
from kbsync.model.hooks import activations
from kbsync.ports import ArtifactStore, Work

SNAPSHOT_SECONDS = 60.0
"""How much work a kill may cost."""
KIND = "covariance-part"


@dataclass(slots=True)
class SecondMoments:
    """Sums over the keys that were seen so far."""

    by_layer: dict[int, Tensor]
    """Σ k kᵀ (m, m), float64."""
    count: int
    """How many keys are in each sum."""


class Snapshots:
    """The sums of a running measurement, in two slots: while one is being written, the other is whole."""

    def __init__(self, artifacts: ArtifactStore, measurement: str) -> None:
        """``measurement``: what tells this measurement from every other."""
        self._artifacts = artifacts
        self._slots = [content_hash([KIND, measurement, slot]) for slot in (0, 1)]
        self._next = 0
        self._written_at = time.monotonic()

    def restore(self, corpus: Corpus) -> SecondMoments:
        """The slot that holds more keys, with ``corpus`` put where that slot ended; empty sums where there is none."""
        slots = [(slot, load(blob)) for slot, key in enumerate(self._slots) if (blob := self._artifacts.get(KIND, key))]
        if not slots:
            return SecondMoments({}, 0)
        slot, tensors = max(slots, key=lambda s: int(s[1]["counted"]))
        self._next = 1 - slot
        corpus.restore({n.removeprefix("corpus."): t for n, t in tensors.items() if n.startswith("corpus.")})
        layers = {int(n.removeprefix("layer.")): t for n, t in tensors.items() if n.startswith("layer.")}
        return SecondMoments(layers, int(tensors["counted"]))

    def keep(self, sums: SecondMoments, corpus: Corpus) -> None:
        """Store the sums, where the last time is ``SNAPSHOT_SECONDS`` ago."""
        if time.monotonic() - self._written_at < SNAPSHOT_SECONDS:
            return
        tensors = {f"layer.{layer}": total for layer, total in sums.by_layer.items()}
        state = {f"corpus.{name}": tensor for name, tensor in corpus.state().items()}
        key = self._slots[self._next]
        self._artifacts.drop(KIND, key)
        self._artifacts.put(KIND, key, save({**tensors, **state, "counted": torch.tensor(sums.count)}))
        self._next = 1 - self._next
        self._written_at = time.monotonic()

    def drop(self) -> None:
        """Remove both slots, because the measurement is done."""
        for key in self._slots:
            self._artifacts.drop(KIND, key)


def measure(
    decoder: Decoder,
    corpus: Corpus,
    layers: Sequence[int],
    skipped: int,
    snapshots: Snapshots,
    work: Work,
) -> SecondMoments:
    """Sum the keys of ``layers`` over what is left of the corpus.

    The result is the same bit for bit, whether or not the measurement was killed in between.

    Args:
        skipped: The first tokens of each row, which don't count.
        work: Advances by tokens.

    Raises:
        EditError: A key is not finite.
    """
    sums = snapshots.restore(corpus)
    if sums.count:
        work.advance(sums.count)
    for rows in corpus.batches():
        tokens, valid = _padded(rows, skipped)
        with torch.no_grad():
            seen = activations(decoder, {"input_ids": tokens.to(decoder.model.device), "use_cache": False}, keys=layers)
        for layer in layers:
            part = _outer(seen.keys[layer], valid, layer)
            sums.by_layer[layer] = sums.by_layer[layer].add_(part) if layer in sums.by_layer else part
        sums.count += int(valid.sum())
        snapshots.keep(sums, corpus)
        work.advance(int(valid.sum()))
    return sums


def _outer(keys: Tensor, valid: Tensor, layer: int) -> Tensor:
    """Σ k kᵀ of a batch's valid keys: a product in float32 (of at most a few thousand keys), then float64."""
    chosen = keys[valid.to(keys.device)]
    chosen = chosen.to(torch.promote_types(chosen.dtype, torch.float32))
    part = (chosen.T @ chosen).cpu().double()
    if not torch.isfinite(part).all():
        raise EditError(
            f"A key of layer {layer} is not finite, so no covariance exists.",
            next_step="Load the model in float32.",
        )
    return part


def _padded(rows: Batch, skipped: int) -> tuple[Tensor, Tensor]:
    """Rows padded on the right (nothing before the padding sees it), and which positions count."""
    width = max(map(len, rows))
    tokens = torch.zeros(len(rows), width, dtype=torch.long)
    valid = torch.zeros(len(rows), width, dtype=torch.bool)
    for i, row in enumerate(rows):
        tokens[i, : len(row)] = torch.tensor(row)
        valid[i, skipped : len(row)] = True
    return tokens, valid
