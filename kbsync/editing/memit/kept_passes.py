"""The passes of a refinement that are finished, so that one that is stopped or killed goes on after the last of them.

On a model of 1.5 billion parameters a pass may take an hour.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from kbsync.domain.canonical import content_hash
from kbsync.domain.recipe import Recipe
from kbsync.editing.common.prompts import Prompt
from kbsync.model.delta import FactorDelta
from kbsync.ports import ArtifactStore

KIND = "refinement"
FORMAT = 1
"""Of what is stored; part of each key."""


@dataclass(frozen=True, slots=True)
class FinishedPass:
    """Everything on which the passes after a finished one depend."""

    number: int
    """Of the finished pass, from 1."""
    lefts: list[Tensor]
    """L of each layer."""
    means: list[Tensor]
    """Adam's, of each layer's gradients."""
    squares: list[Tensor]
    steps: int
    """Adam's, so far."""
    draw: random.Random
    """As the finished pass left it."""


class KeptPasses:
    """Keeps the last finished pass of one refinement, under a hash of all that the refinement depends on."""

    def __init__(
        self, artifacts: ArtifactStore, base: str, recipe: Recipe, delta: FactorDelta, rows: Sequence[Sequence[Prompt]]
    ) -> None:
        """Name the refinement.

        Args:
            base: The model's fingerprint.
            delta: The change that is refined.
            rows: All prompts and texts that the refinement uses, by what it uses them for, in its order.
        """
        self._artifacts = artifacts
        texts = [[[list(p.ids), p.lookup, p.target] for p in some] for some in rows]
        self._inputs = [KIND, FORMAT, base, recipe.fingerprint, _digest(delta), texts]

    def last(self, passes: int) -> FinishedPass | None:
        """The last pass that was finished, of those before pass ``passes``; None where there is none."""
        for number in range(passes - 1, 0, -1):
            blob = self._artifacts.get(KIND, self._key(number))
            if blob is not None and (found := _read(number, blob)) is not None:
                return found
        return None

    def put(self, finished: FinishedPass) -> None:
        """Keep a finished pass in place of the one before."""
        self._artifacts.put(KIND, self._key(finished.number), _packed(finished))
        self.drop(finished.number - 1)

    def drop(self, number: int) -> None:
        """Forget a pass that is no longer needed."""
        if number:
            self._artifacts.drop(KIND, self._key(number))

    def _key(self, number: int) -> str:
        return content_hash([*self._inputs, number])


def _digest(delta: FactorDelta) -> str:
    tensors = {f"{name}.{n}": part.contiguous() for name, pair in delta.factors.items() for n, part in enumerate(pair)}
    return hashlib.sha256(save(tensors)).hexdigest()


def _packed(finished: FinishedPass) -> bytes:
    groups = {"left": finished.lefts, "mean": finished.means, "square": finished.squares}
    tensors = {
        f"{name}.{n}": t.detach().cpu().contiguous() for name, some in groups.items() for n, t in enumerate(some)
    }
    version, state, _ = finished.draw.getstate()
    return save(tensors | {"steps": torch.tensor(finished.steps), "draw": torch.tensor([version, *state])})


def _read(number: int, blob: bytes) -> FinishedPass | None:
    """None for what no pass can be read from: it is made again."""
    try:
        found = load(blob)
        count = sum(name.startswith("left.") for name in found)
        version, *state = found["draw"].tolist()
        draw = random.Random()
        draw.setstate((version, tuple(state), None))
        lefts, means, squares = ([found[f"{name}.{n}"] for n in range(count)] for name in ("left", "mean", "square"))
        return FinishedPass(number, lefts, means, squares, int(found["steps"]), draw)
    except (SafetensorError, KeyError, ValueError):
        return None
