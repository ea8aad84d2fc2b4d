"""From traced facts to average indirect effects, and from those to layers that are worth editing. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What is restored: the residual stream after a layer, or the output of its MLP or attention."""

    RESIDUAL = "residual"
    MLP = "mlp"
    ATTENTION = "attention"


class Role(StrEnum):
    """Token roles (Meng et al. 2022, figure 2). The one token of a short subject is its last; a prompt's last token is
    that, unless the subject ends the prompt."""

    FIRST_SUBJECT = "first subject token"
    MIDDLE_SUBJECT = "middle subject tokens"
    LAST_SUBJECT = "last subject token"
    FIRST_AFTER = "first subsequent token"
    FURTHER = "further tokens"
    LAST = "last token"


@dataclass(frozen=True, slots=True)
class FactTrace:
    """One fact. ``clean`` and ``corrupted``: the answer's probability without and with noise; ``roles`` of the positions
    from the subject's first token on; ``effects``: by state, layer and position, the probability that restoring gives
    less ``corrupted``. Means over the samples of noise."""

    clean: float
    corrupted: float
    roles: tuple[Role, ...]
    effects: Mapping[State, Sequence[Sequence[float]]]


@dataclass(frozen=True, slots=True)
class Effect:
    """An average over facts: ``half_width`` of its 95 % interval (normal approximation; 0 for one fact)."""

    value: float
    half_width: float
    facts: int


def roles(first: int, last: int, length: int) -> tuple[Role, ...]:
    """Roles of positions ``first`` .. ``length`` - 1, the subject being ``first`` .. ``last``."""

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
    """Average total effect: what the noise costs the answer."""
    return _average([t.clean - t.corrupted for t in traces])


def average(traces: Sequence[FactTrace], state: State) -> list[dict[Role, Effect]]:
    """Average indirect effects by layer and role: a fact counts by the mean over its positions of that role."""
    layers = len(traces[0].effects[state]) if traces else 0
    return [
        {role: _average(found) for role in Role if (found := _of_role(traces, state, layer, role))}
        for layer in range(layers)
    ]


def suggest(profile: Sequence[float], share: float = 0.5) -> tuple[int, ...]:
    """The run of layers around the profile's peak with at least ``share`` of it; empty where nothing is above zero.

    The profile is the MLPs' effect at the subject's last token, by layer. MEMIT chose its layers where that effect is
    (section 4.3); where exactly the run ends is a rule of this code, and a start for ``kbsync recipe tune``.
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
    found = []
    for trace in traces:
        values = [v for v, r in zip(trace.effects[state][layer], trace.roles, strict=True) if r is role]
        if values:
            found.append(math.fsum(values) / len(values))
    return found


def _average(values: Sequence[float]) -> Effect:
    count = len(values)
    mean = math.fsum(values) / count
    if count < 2:
        return Effect(mean, 0.0, count)
    variance = math.fsum((v - mean) ** 2 for v in values) / (count - 1)
    return Effect(mean, 1.96 * math.sqrt(variance / count), count)
