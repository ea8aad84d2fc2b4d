"""Marks that follow from what a test uses, and a collection that is not held up by the garbage collector."""

from __future__ import annotations

import gc
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Switch the garbage collector off while tests are collected: it takes a third of that time. Modules and tests
    stay until the end, so it never looks at them again."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test that needs the PostgreSQL server: its own ``postgres``, or the parameter of that name."""
    for item in items:
        if isinstance(item, pytest.Function) and needs_postgres(item):
            item.add_marker(pytest.mark.postgres)


def needs_postgres(item: pytest.Function) -> bool:
    """Whether a test asks for the server by its fixture, or for a ledger on it by its parameters."""
    parameters = getattr(item, "callspec", None)
    values = parameters.params.values() if parameters else ()
    return "postgresql" in values or ("postgres" in item.fixturenames and "sqlite" not in values)
