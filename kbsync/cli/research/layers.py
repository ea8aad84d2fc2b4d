"""Layers on the command line: ``3-8``, ``3,5,7``, ``1-3,6``."""

from __future__ import annotations

import re

import typer


def parse_layers(text: str) -> tuple[int, ...]:
    """Ascending layer numbers, each once. Raises a usage error for anything else."""
    layers: set[int] = set()
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d{1,4})(?:-(\d{1,4}))?\s*", part)
        if not match or (match[2] and int(match[2]) < int(match[1])):
            raise typer.BadParameter(f"{text!r} names no layers; write 3-8 or 3,5,7")
        layers.update(range(int(match[1]), int(match[2] or match[1]) + 1))
    return tuple(sorted(layers))
