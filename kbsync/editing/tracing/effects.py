"""From traced facts to average indirect effects, and from those to layers that are worth editing. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What is restored."""

    RESIDUAL = "residual"
    """The residual stream after a layer."""
    MLP = "mlp"
    """The output of a layer's MLP."""
    ATTENTION = "attention"
    """The output of a layer's attention."""


class Role(StrEnum):
    """What a token is in its prompt (Meng et al., NeurIPS 2022, figure 2).

    The only token of a short subject is its last one. The prompt's last token is ``LAST``, unless the subject ends the
    prompt.
    """

    FIRST_SUBJECT = "first subject token"
    MIDDLE_SUBJECT = "middle subject tokens"
    LAST_SUBJECT = "last subject token"
    FIRST_AFTER = "first subsequent token"
    FURTHER = "further tokens"
    LAST = "last token"


@dataclass(frozen=True, slots=True)
class FactTrace:
    """One traced fact. Probabilities are those of the answer's first token; means over the samples of noise."""

    clean: float
    """Probability without noise."""
    corrupted: float
    """Probability with noise on the subject."""
    roles: tuple[Role, ...]
    """Roles of the positions from the subject's first token on."""
    effects: Mapping[State, Sequence[Sequence[float]]]
    """By state, layer and position: the probability when that state is restored, less ``corrupted``."""


@dataclass(frozen=True, slots=True)
class Effect:
    """An average over facts."""

    value: float
    """A difference of probabilities."""
    half_width: float
    """Of its 95 % interval (normal approximation); 0 for one fact."""
    facts: int
    """How many facts it is the average of."""


def roles(first: int, last: int, length: int) -> tuple[Role, ...]:
    """Roles of positions ``first`` to ``length`` - 1, the subject being ``first`` to ``last``."""

    def role(position: int) -> Role:
        if position == last:
            return Role.LAST_SUBJECT
        if position == first:
            return Role.FIRST_SUBJECT
        if position < last:
            return Role.MIDDLE_SUBJECT
        if position == length - 1:
            return Role.LAST
        return Role.FIRST_AFTER if position == last + 1 else Role.FURTHER

    return tuple(role(p) for p in range(first, length))


def total_effect(traces: Sequence[FactTrace]) -> Effect:
    """Average total effect: how much of the answer's probability the noise costs."""
    return _average([t.clean - t.corrupted for t in traces])


def average(traces: Sequence[FactTrace], state: State) -> list[dict[Role, Effect]]:
    """Average indirect effects by layer and role. A fact counts by the mean over its positions of that role."""
    layers = len(traces[0].effects[state]) if traces else 0
    return [
        {role: _average(values) for role in Role if (values := _of_role(traces, state, layer, role))}
        for layer in range(layers)
    ]


def suggest(profile: Sequence[float], share: float = 0.5) -> tuple[int, ...]:
    """The run of layers around the profile's peak with at least ``share`` of it; empty where nothing is above zero.

    MEMIT chose its layers where this effect is (section 4.3). Where exactly the run ends is a rule of this code, and a
    start for ``kbsync recipe tune``, which tries other layers beside them.

    Args:
        profile: By layer, the average effect of the MLPs at the subject's last token.
    """
    peak = max(range(len(profile)), key=lambda i: profile[i], default=-1)
    if peak < 0 or profile[peak] <= 0:
        return ()
    low = high = peak
    while low > 0 and profile[low - 1] >= share * profile[peak]:
        low -= 1
    while high + 1 < len(profile) and profile[high + 1] >= share * profile[peak]:
        high += 1
    return tuple(range(low, high + 1))


def _of_role(traces: Sequence[FactTrace], state: State, layer: int, role: Role) -> list[float]:
    """Each fact's mean over its positions of that role; facts without such a position are left out."""
    means = []
    for trace in traces:
        values = [v for v, r in zip(trace.effects[state][layer], trace.roles, strict=True) if r is role]
        if values:
            means.append(math.fsum(values) / len(values))
    return means


def _average(values: Sequence[float]) -> Effect:
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Effect(mean, 0.0, count)
    variance = math.fsum((v - mean) ** 2 for v in values) / (count - 1)
    return Effect(mean, 1.96 * math.sqrt(variance / count), count)
