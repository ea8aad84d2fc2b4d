from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.oxigraph_server import OxigraphServer


@pytest.fixture(scope="module")
def oxigraph() -> Iterator[OxigraphServer]:
    """A running server; a test replaces its whole content."""
    with OxigraphServer() as server:
        yield server
