"""Marks that follow from what a test uses."""

from __future__ import annotations

import pytest


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
