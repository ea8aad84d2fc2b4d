"""A small valid configuration, in parts, and what is wrong with another."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from kbsync.config import load
from kbsync.domain.errors import ConfigError

MAIN = """
[source]
user_agent = "kbsync tests (mailto:tests@kbsync.invalid)"
[model]
reference = "tiny"
[edit]
recipe = "small"
"""
RELATION = """
property = "P35"
label = "head of state"
templates = ["The head of state of {} is", "{} is headed by"]
subjects = ["Q145", "Q142"]
"""
RECIPE = "layers = [1, 2]\n"

Writer = Callable[..., Path]


def problems(path: Path | None, overrides: Mapping[str, Any] | None = None) -> list[str]:
    """Every mistake in the settings; fails if there is none."""
    with pytest.raises(ConfigError) as caught:
        load(path, overrides)
    return list(caught.value.problems)
