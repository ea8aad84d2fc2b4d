"""A hub of data sets that exists in this process only."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import pytest


def hub(monkeypatch: pytest.MonkeyPatch, rows: Any) -> list[Any]:
    """A stand-in for the package ``datasets``: what it was asked is noted."""
    asked: list[Any] = []

    def load_dataset(*arguments: Any, **named: Any) -> Any:
        asked.append((arguments, named))
        if isinstance(rows, Exception):
            raise rows
        return iter(rows)

    module = ModuleType("datasets")
    module.load_dataset = load_dataset  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "datasets", module)
    return asked
