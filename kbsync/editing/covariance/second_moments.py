"""Second moments Σ k kᵀ of keys, summed over a corpus batch by batch. The sums are float64 and survive a kill.

One pass serves all layers and stops at the last of them (MEMIT, section 4.2 and appendix B).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from safetensors.torch import load, save
from torch import Tensor

from kbsync.domain.canonical import content_hash
from kbsync.editing.covariance.batch_tasks import at_once, products, products_by
from kbsync.editing.covariance.corpus import Batch, Corpus
from kbsync.model.decoder import Decoder
from kbsync.ports import ArtifactStore, Executor, Work

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

    def keep(self, sums: SecondMoments, state: Mapping[str, Tensor]) -> None:
        """Store the sums with the corpus's ``state`` behind them, where the last time is ``SNAPSHOT_SECONDS`` ago."""
        if time.monotonic() - self._written_at < SNAPSHOT_SECONDS:
            return
        tensors = {f"layer.{layer}": total for layer, total in sums.by_layer.items()}
        stands = {f"corpus.{name}": tensor for name, tensor in state.items()}
        key = self._slots[self._next]
        self._artifacts.drop(KIND, key)
        self._artifacts.put(KIND, key, save({**tensors, **stands, "counted": torch.tensor(sums.count)}))
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
    executor: Executor | None = None,
) -> SecondMoments:
    """Sum the keys of ``layers`` over what is left of the corpus.

    The result is the same bit for bit, whether or not the measurement was killed in between, and whoever does the
    batches: their products are added in the order of the corpus.

    Args:
        skipped: The first tokens of each row, which don't count.
        work: Advances by tokens.
        executor: Does the batches; None: this process does, one after the other.

    Raises:
        EditError: A key is not finite.
    """
    sums = snapshots.restore(corpus)
    if sums.count:
        work.advance(sums.count)
    for batches in _several(corpus, 1 if executor is None else at_once(decoder, layers)):
        rows_of = [rows for rows, _ in batches]
        if executor is None:
            found = products(decoder, rows_of[0], layers, skipped)
        else:
            found = products_by(executor, rows_of, layers, skipped, work)
        for rows, state in batches:
            # Strict: a batch that is missing from the sum would be seen by nobody.
            for layer, product in zip(layers, islice(found, len(layers)), strict=True):
                if layer in sums.by_layer:
                    sums.by_layer[layer] += product  # in float64: each number is widened as it is added
                else:
                    sums.by_layer[layer] = product.double()
            count = sum(max(0, len(row) - skipped) for row in rows)
            sums.count += count
            snapshots.keep(sums, state)
            work.advance(count)
    return sums


def _several(corpus: Corpus, most: int) -> Iterator[list[tuple[Batch, dict[str, Tensor]]]]:
    """Up to ``most`` batches at a time, each with where the corpus stands behind it."""
    taken = ((rows, corpus.state()) for rows in corpus.batches())
    while several := list(islice(taken, most)):
        yield several
