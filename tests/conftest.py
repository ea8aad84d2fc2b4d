"""Marks that follow from what a test uses, and a collection that is not held up by the garbage collector."""

from __future__ import annotations

import gc

import pytest


def pytest_sessionstart() -> None:
    """Collect no garbage while tests are collected: it is a third of the time, and there is hardly any garbage yet."""
    gc.disable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that needs the PostgreSQL server: its own ``postgres``, or the parameter of that name."""
    for item in items:
        if isinstance(item, pytest.Function) and needs_postgres(item):
            item.add_marker(pytest.mark.postgres)


def pytest_collection_finish() -> None:
    """Collect garbage again, without looking at modules and tests each time: they stay until the end."""
    gc.enable()
    gc.freeze()


def needs_postgres(item: pytest.Function) -> bool:
    """Whether a test asks for the server by its fixture, or for a ledger on it by its parameters."""
    parameters = getattr(item, "callspec", None)
    values = parameters.params.values() if parameters else ()
    return "postgresql" in values or ("postgres" in item.fixturenames and "sqlite" not in values)
