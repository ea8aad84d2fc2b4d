"""Layers on the command line."""

from __future__ import annotations

import pytest
import typer

from kbsync.cli.research.layers import parse_layers


@pytest.mark.parametrize(
    ("text", "layers"),
    [("3-5", (3, 4, 5)), ("7,3,5", (3, 5, 7)), ("1-3, 6", (1, 2, 3, 6)), ("2,2", (2,)), ("4-4", (4,))],
)
def test_layers_ascend_and_stand_once(text: str, layers: tuple[int, ...]) -> None:
    assert parse_layers(text) == layers


@pytest.mark.parametrize("text", ["", "a", "5-3", "1,,2", "-1", "1-2-3", "99999"])
def test_anything_else_is_wrong_usage(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="names no layers"):
        parse_layers(text)
