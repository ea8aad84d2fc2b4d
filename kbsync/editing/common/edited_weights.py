"""The weights of an edit that is being made: factors that are added one after the other, in place in the model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor
from transformers import PreTrainedModel

from kbsync.editing.common.low_rank import compressed
from kbsync.model.decoder import DecoderLayer
from kbsync.model.delta import FactorDelta, applied

Factors = tuple[Tensor, Tensor]
"""Left (out, r) and right (r, m), float32."""


class EditedWeights:
    """At any time the model's weights are the base's plus all factors that were added, rounded once."""

    def __init__(self, model: PreTrainedModel) -> None:
        self._model = model
        self._factors: dict[str, Factors] = {}
        self._applied: dict[str, ExitStack] = {}
        self._digest = ""

    def add(self, layer: DecoderLayer, left: Tensor, right: Tensor) -> float:
        """Add ``left`` (out, r) @ ``right`` (r, m), float64, to the layer's down projection.

        Returns:
            ‖Δ‖ / ‖W‖ (Frobenius), Δ being all that was added to this layer.
        """
        name = layer.down.name
        if name in self._factors:
            before = self._factors[name]
            left, right = torch.cat([before[0].double(), left], dim=1), torch.cat([before[1].double(), right])
            left, right = compressed(left, right)
        factors = (left.float().contiguous(), right.float().contiguous())
        self._take_back(name)
        ratio = float((factors[0].double() @ factors[1].double()).norm() / layer.down.weight.double().norm())
        stack = ExitStack()
        stack.enter_context(applied(self._model, FactorDelta({name: factors})))
        self._applied[name], self._factors[name] = stack, factors
        self._extend_digest(name, factors)
        return ratio

    def delta(self) -> FactorDelta:
        """All that was added."""
        return FactorDelta(self._factors)

    @property
    def hash(self) -> str:
        """SHA-256 of all that was added, in its order; empty before anything was."""
        return self._digest

    def clear(self) -> None:
        """Put the base's own tensors back."""
        for name in list(self._applied):
            self._take_back(name)

    def _take_back(self, name: str) -> None:
        if name in self._applied:
            self._applied.pop(name).close()

    def _extend_digest(self, name: str, factors: Factors) -> None:
        digest = hashlib.sha256(f"{self._digest} {name} {[tuple(t.shape) for t in factors]}".encode())
        for factor in factors:
            digest.update(factor.numpy().data)
        self._digest = digest.hexdigest()


@contextmanager
def edited_weights(model: PreTrainedModel) -> Iterator[EditedWeights]:
    """Inside the block the model holds what is added; afterwards its own tensors are back."""
    weights = EditedWeights(model)
    try:
        yield weights
    finally:
        weights.clear()
