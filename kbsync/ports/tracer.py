"""Where a model keeps its facts, as a causal trace of a few of them shows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

from kbsync.ports.work import UNWATCHED, Work


@dataclass(frozen=True, slots=True)
class TracedFact:
    """A fact that a model knows."""

    template: str
    """The prompt, with one ``{}`` for the subject."""
    subject: str
    answer: str
    """What the model says after the prompt, without the blank between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerTrace:
    """What the traces of some facts show."""

    facts: int
    """The number of facts that were traced: those whose answer the model gives and whose tokens can be located."""
    layers: int
    """The number of layers that the model has."""
    suggested: tuple[int, ...]
    """Layers around the peak of the MLPs' effect at the subject's last token; empty where nothing has an effect."""
    bounded: bool
    """Whether a norm bounds what an MLP adds to the residual stream (sandwich norms, ADR 0004)."""
    key_width: int
    """Dimension of the widest layer's keys."""


class LayerTracer(ABC):
    """Traces facts in one base."""

    @abstractmethod
    def trace(self, facts: Sequence[TracedFact], *, work: Work = UNWATCHED) -> LayerTrace:
        """Trace each fact; the same facts give the same trace. ``work`` advances by facts."""
