"""A recipe as the text of its file."""

from __future__ import annotations

import json
import textwrap
from dataclasses import fields
from typing import Any

from kbsync.domain.recipe import Recipe


def recipe_text(recipe: Recipe, comment: str = "") -> str:
    """TOML that reads back as ``recipe``; fields that have their default are left out. ``comment`` stands above it."""
    lines = [
        f"# {line}".rstrip() for paragraph in comment.splitlines() for line in textwrap.wrap(paragraph, 117) or [""]
    ]
    for entry in fields(recipe):
        value = getattr(recipe, entry.name)
        if entry.name != "name" and value != entry.default:
            lines.append(f"{entry.name} = {_value(value)}")
    return "\n".join(lines) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    # Of text, numbers and truth values, JSON and TOML write the same but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
