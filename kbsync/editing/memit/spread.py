"""Many facts at once over the edited layers: each takes its part of what is still missing, on a copy that holds the
layers before (Meng et al., ICLR 2023, algorithm 1)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor

from kbsync.domain.version import LayerReport
from kbsync.editing.editor import Job
from kbsync.editing.memit.insertion import Insertion
from kbsync.editing.memit.keys import Climb
from kbsync.editing.memit.preserved import Still
from kbsync.editing.memit.targets import Target
from kbsync.editing.solve import Factor, solve, thin
from kbsync.editing.subject import Task
from kbsync.model.decoder import DecoderLayer
from kbsync.model.delta import FactorDelta, applied

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class Normal:
    """What a layer's change is weighed against: ``weight``·A with A as factored, beside K Kᵀ.

    ``basis`` (m, q), orthonormal: the change is held to its span, and A is q × q in its coordinates; None: no bound.
    """

    factor: Factor
    weight: float
    basis: Tensor | None = None


class Growing:
    """Factors that grow, in place in the model: at any time the weights are the base's plus all factors, rounded once."""

    def __init__(self, job: Job, model: torch.nn.Module) -> None:
        self._model, self._layers = model, {layer.down.name: layer for layer in job.layers}
        self._pairs: dict[str, Pair] = {}
        self._placed: dict[str, ExitStack] = {}
        self._digest = ""

    def add(self, layer: DecoderLayer, left: Tensor, right: Tensor) -> float:
        """Add left (out, r) @ right (r, m) to the layer's down projection; returns ‖all of its change‖ / ‖W‖."""
        name = layer.down.name
        if name in self._pairs:
            before = self._pairs[name]
            left, right = torch.cat([before[0].double(), left], dim=1), torch.cat([before[1].double(), right])
            left, right = thin(left, right)
        pair = (left.float().contiguous(), right.float().contiguous())
        self._take_out(name)
        ratio = float((pair[0].double() @ pair[1].double()).norm() / layer.down.weight.double().norm())
        stack = ExitStack()
        stack.enter_context(applied(self._model, FactorDelta({name: pair})))  # type: ignore[arg-type]
        self._placed[name], self._pairs[name] = stack, pair
        self._note(name, pair)
        return ratio

    def delta(self) -> FactorDelta:
        return FactorDelta(self._pairs)

    @property
    def hash(self) -> str:
        """SHA-256 of all that was added in its order; empty before anything was."""
        return self._digest

    def clear(self) -> None:
        """The base's own tensors are back."""
        for name in list(self._placed):
            self._take_out(name)

    def _take_out(self, name: str) -> None:
        if name in self._placed:
            self._placed.pop(name).close()

    def _note(self, name: str, pair: Pair) -> None:
        digest = hashlib.sha256(f"{self._digest} {name} {[tuple(t.shape) for t in pair]}".encode())
        for factor in pair:
            digest.update(factor.numpy().data)
        self._digest = digest.hexdigest()


@contextmanager
def growing(job: Job, model: torch.nn.Module) -> Iterator[Growing]:
    """Inside the block the model holds what is added; afterwards its own tensors are back."""
    weights = Growing(job, model)
    try:
        yield weights
    finally:
        weights.clear()


@dataclass(frozen=True, slots=True)
class Spread:
    """``reports`` and the facts' ``keys`` (m, N), by layer in ascending order."""

    reports: list[LayerReport]
    keys: list[Tensor]


def spread(
    tasks: Sequence[Task],
    targets: Mapping[str, Target],
    place: Insertion,
    climb: Climb,
    normal_of: Callable[[int], Normal],
    still: Still,
    weights: Growing,
    job: Job,
    emphasis: Tensor | None = None,
) -> Spread:
    """Write ``tasks`` into the growing weights. ``climb``: their prompts before the first edited layer;
    ``normal_of`` is asked once for each layer, for an answer is as large as a covariance; ``still``: keys that must not move.

    ``emphasis`` (N,): each fact's weight in the least squares (None: all 1), by which its key and its residual are scaled.
    """
    root = 1.0 if emphasis is None else emphasis.sqrt()
    goals = torch.stack([targets[t.request.id].goal for t in tasks])
    reports, seen = [], []
    for step, layer in enumerate(place.layers):
        normal = normal_of(step)
        keys, distance, wanted = place.residual(goals, climb, step)
        left, right, condition, ridge = _solve(normal, keys.T * root, wanted.T * root, still.keys(step))
        ratio = weights.add(layer, left, right)
        after = place.remainder(goals, climb, step)
        still.advance(step)
        seen.append(keys.T)
        reports.append(
            LayerReport(
                layer=layer.index,
                residual_before=float(distance.norm(dim=1).mean()),
                residual_after=float(after.norm(dim=1).mean()),
                delta_ratio=ratio,
                condition=condition,
                ridge=ridge,
                free=None if normal.basis is None else normal.basis.shape[1],
            )
        )
        job.work.advance()
    return Spread(reports, seen)


def _solve(normal: Normal, keys: Tensor, wanted: Tensor, still: Tensor | None) -> tuple[Tensor, Tensor, float, float]:
    basis = normal.basis
    if basis is None:
        found = solve(normal.factor, normal.weight, keys, wanted, still)
        return found.left, found.right, found.condition, found.ridge
    within = None if still is None else basis.T @ still.double()
    found = solve(normal.factor, normal.weight, basis.T @ keys.double(), wanted, within)
    return found.left, found.right @ basis.T, found.condition, found.ridge
