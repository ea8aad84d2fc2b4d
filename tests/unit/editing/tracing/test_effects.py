"""From single traced facts to averages, and from those to layers."""

from __future__ import annotations

import pytest

from kbsync.editing.tracing.effects import FactTrace, Role, State, average, roles, suggest, total_effect


@pytest.mark.parametrize(
    ("first", "last", "length", "expected"),
    [
        (1, 3, 7, "FMLAXE"),
        (2, 2, 5, "LAE"),
        (0, 1, 3, "FLE"),
        (1, 2, 3, "FL"),
    ],
)
def test_every_token_has_its_role(first: int, last: int, length: int, expected: str) -> None:
    letters = dict(zip("FMLAXE", Role, strict=True))
    assert roles(first, last, length) == tuple(letters[x] for x in expected)


def trace(effect: float, where: tuple[Role, ...]) -> FactTrace:
    values = [[effect * (i + 1) for i in range(len(where))]]
    return FactTrace(0.5 + effect, 0.25, where, dict.fromkeys(State, values))


def test_effects_are_averaged_over_a_facts_positions_and_then_over_facts() -> None:
    two = trace(0.1, (Role.LAST_SUBJECT, Role.FURTHER, Role.FURTHER))
    one = trace(0.3, (Role.LAST_SUBJECT,))
    (layer,) = average([two, one], State.MLP)
    assert layer[Role.LAST_SUBJECT].value == pytest.approx(0.2) and layer[Role.LAST_SUBJECT].facts == 2
    assert layer[Role.LAST_SUBJECT].half_width == pytest.approx(1.96 * 0.1)
    assert layer[Role.FURTHER].value == pytest.approx(0.25) and layer[Role.FURTHER].half_width == 0
    assert Role.LAST not in layer
    assert total_effect([two, one]).value == pytest.approx(0.45)
    assert average([], State.MLP) == []


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        ([0.0, 0.1, 0.3, 0.4, 0.2, 0.1], (2, 3, 4)),
        ([0.4, 0.1, 0.3], (0,)),
        ([0.1, 0.2, 0.2], (0, 1, 2)),
        ([-0.1, 0.0], ()),
        ([], ()),
    ],
)
def test_layers_are_suggested_around_the_peak(profile: list[float], expected: tuple[int, ...]) -> None:
    assert suggest(profile) == expected
