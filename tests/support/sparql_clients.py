"""Clients of a scripted endpoint, on a clock that only sleeping moves: fixtures ``patience`` and ``client_of``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from kbsync.wikidata.answers import Term
from kbsync.wikidata.client import SparqlClient

AGENT = "kbsync-tests/1 (tests@example.org)"
QUERY = "SELECT ?n WHERE { BIND(42 AS ?n) }"
GOOD = [{"n": Term("literal", "42", "http://www.w3.org/2001/XMLSchema#integer")}]
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Patience:
    """A clock that only sleeping moves; notes every sleep."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.at = NOW

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)

    def now(self) -> datetime:
        return self.at


@pytest.fixture
def patience() -> Patience:
    return Patience()


Ask = Callable[..., SparqlClient]


@pytest.fixture
def client_of(patience: Patience) -> Ask:
    def build(endpoint: str, **settings: object) -> SparqlClient:
        chosen = {"timeout": 5.0, "deadline": 10.0, "attempts": 3, "sleep": patience.sleep, "now": patience.now}
        return SparqlClient(endpoint, AGENT, **{**chosen, **settings})  # type: ignore[arg-type]

    return build
