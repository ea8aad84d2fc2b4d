"""A small valid configuration, in parts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

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
