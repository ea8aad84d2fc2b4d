"""Ten minutes for whoever has a GPU: whether it gives what the CPU gives, and how much faster it is.

No GPU was there when kbsync was written, so nothing about one is measured in this repository. The same work is done
twice, first on the CPU, then on the device: questions, the key covariance, and an edit with its target vectors.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kbsync.domain.recipe import Recipe
from kbsync.editing.covariance.recipe_covariances import RecipeCovariances
from kbsync.editing.memit.memit import MemitEditor
from kbsync.model.base import TorchBase
from kbsync.model.decoder import discover
from kbsync.model.delta import FactorDelta
from kbsync.model.load import load
from kbsync.model.quiet import quiet
from kbsync.operations.evidence import Figure, at_least, at_most, evidence
from kbsync.ports import UNWATCHED
from kbsync.research.scale_out import facts
from kbsync.testing import MemoryArtifactStore

COMMAND = "python -m tests.evidence gpu"
DEPTH, EDITED = 0.3, 3
"""Where the edited layers begin, as a share of the model's, and how many they are."""
SCORES, COVARIANCE, DELTA = 1e-3, 1e-4, 2e-2
"""How far a device in float32 may be from the CPU: nats a token, and shares of a matrix's norm. Sums in another order
change the last bits, and a search of some twenty steps carries them on."""


@dataclass(frozen=True, slots=True)
class Side:
    """What one device did."""

    answers: list[str]
    edited_answers: list[str]
    scores: Tensor
    """NLL of an answer to each prompt, in nats a token."""
    covariances: dict[int, Tensor]
    factors: dict[str, tuple[Tensor, Tensor]]
    seconds: dict[str, float]
    peak: int
    """Bytes of the device's memory; 0 on the CPU."""


def measure_gpu(
    reference: str, device: str, dtype: str, cache: Path, *, count: int, tokens: int, say: Callable[[str], None]
) -> dict[str, Any]:
    """The evidence.

    Args:
        reference: A model, as in `[model] reference`.
        device: As torch names it, such as ``cuda``.
        dtype: Of the weights on both sides; the bounds are those of float32, and other types are judged by none.
        cache: Keeps the model where it has to be converted.
        count: Facts that are edited, and twice as many prompts that are asked.
        tokens: Text of the covariance.
        say: Is told what is done.
    """
    started, begun = datetime.now(UTC), time.monotonic()
    sides = []
    for place in ("cpu", device):
        sides.append(one_side(reference, place, dtype, cache, count, tokens))
        say(f"{place}: " + ", ".join(f"{name} {value:.1f} s" for name, value in sides[-1].seconds.items()))
    own, other = sides
    bounds = (SCORES, COVARIANCE, DELTA) if dtype == "float32" else (None, None, None)
    measured = (
        float((own.scores - other.scores).abs().max()),
        max(_apart(own.covariances[layer], other.covariances[layer]) for layer in own.covariances),
        max(_apart(_product(own.factors[name]), _product(other.factors[name])) for name in own.factors),
    )
    names = (
        ("parity.scores", "nats a token at most"),
        ("parity.covariance", "of the norm at most"),
        ("parity.delta", "of the norm at most"),
    )
    figures = [
        Figure(name, value, unit) if bound is None else at_most(name, value, unit, bound)
        for (name, unit), value, bound in zip(names, measured, bounds, strict=True)
    ]
    same = sum(a == b for a, b in zip(own.answers, other.answers, strict=True)) / len(own.answers)
    kept = sum(a == b for a, b in zip(own.edited_answers, other.edited_answers, strict=True)) / len(own.answers)
    figures.append(at_least("parity.answers", same, "share", 0.95))
    figures.append(at_least("parity.edited_answers", kept, "share", 0.9))
    for name, seconds in own.seconds.items():
        figures += [
            Figure(f"cpu.{name}", round(seconds, 2), "s"),
            Figure(f"device.{name}", round(other.seconds[name], 2), "s"),
            Figure(f"speed.{name}", seconds / max(other.seconds[name], 1e-9), "times the CPU"),
        ]
    figures.append(Figure("device.peak_bytes", other.peak, "bytes"))
    more = {"model": reference, "device": _name(device), "dtype": dtype, "facts": count, "tokens": tokens}
    return evidence(COMMAND, figures, seed=0, started=started, seconds=time.monotonic() - begun, **more)


def one_side(reference: str, device: str, dtype: str, cache: Path, count: int, tokens: int) -> Side:
    """All the work on one device."""
    with quiet():
        loaded = load(reference, cache_dir=cache, device=device, dtype=dtype)
    layers = len(discover(loaded.model).layers)
    first = round(DEPTH * (layers - EDITED))
    recipe = Recipe(
        name="gpu",
        layers=tuple(range(first, min(layers, first + EDITED))),
        dtype=dtype,
        steps=20,
        contexts=("Thus: {}", "In short, {}"),
        covariance_tokens=tokens,
        covariance_weight=1_000.0,
    )
    texts = [f"{fact.prompt} {fact.target}. Some say so." for fact in facts(2_000)]
    prompts = [fact.prompt for fact in facts(2 * count)]
    base, store = TorchBase(loaded), MemoryArtifactStore()
    model, seconds = base.language_model(), dict[str, float]()
    model.complete(prompts[:2])  # A device is slow when it is first used.
    with Timed(device, seconds, "asking"):
        answers = list(model.complete(prompts))
        scores = torch.tensor([score.nll for score in model.scores([(prompt, "Oslo") for prompt in prompts])])
    with Timed(device, seconds, "covariance"):
        found = RecipeCovariances(loaded, recipe, texts, store).measure(UNWATCHED).matrices
    editor = MemitEditor(loaded.model, loaded.tokenizer, loaded.fingerprint, store, texts)
    with Timed(device, seconds, "edit"):
        delta = editor.edit(facts(count), recipe, UNWATCHED).delta
    assert isinstance(delta, FactorDelta)
    with base.edited(delta) as changed:
        edited = list(changed.complete(prompts))
    matrices = {layer: matrix.detach().to("cpu", torch.float64) for layer, matrix in found.items()}
    peak = torch.cuda.max_memory_allocated() if device.startswith("cuda") else 0
    return Side(answers, edited, scores, matrices, dict(delta.factors), seconds, peak)


class Timed:
    """Adds the seconds of a block to a table, once the device has done all that it was given."""

    def __init__(self, device: str, seconds: dict[str, float], name: str) -> None:
        self._device, self._seconds, self._name = device, seconds, name

    def __enter__(self) -> None:
        self._begun = self._now()

    def __exit__(self, *failure: object) -> None:
        self._seconds[self._name] = self._now() - self._begun

    def _now(self) -> float:
        if self._device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.monotonic()


def _product(factors: tuple[Tensor, Tensor]) -> Tensor:
    left, right = factors
    return left.double() @ right.double()


def _apart(one: Tensor, other: Tensor) -> float:
    """The distance of two matrices as a share of the first one's norm."""
    return float((one - other).norm() / one.norm())


def _name(device: str) -> str:
    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device
