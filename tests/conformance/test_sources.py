"""The statement sources: the fake, and the real one against Oxigraph in both shapes of Wikidata."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from kbsync.domain.errors import SourceDown
from kbsync.ports import StatementSource
from kbsync.testing import FakeSource
from kbsync.testing.conformance import OpenSource, StatementSourceConformance
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.events import EventStream
from kbsync.wikidata.queries import Vocabulary
from kbsync.wikidata.source import WikidataSource
from kbsync.wikidata.streamed import StreamedSource
from tests.support.oxigraph_server import OxigraphServer, free_port
from tests.support.turtle_world import turtle

AGENT = "kbsync-tests/1 (tests@example.org)"

ELSEWHERE = Vocabulary(base="https://wikibase.example/base", start="P7", end="P8", point="P9")


def elsewhere(text: str) -> str:
    """The same world in a Wikibase of one's own, with its own names and properties."""
    for ours, theirs in (("P580", ELSEWHERE.start), ("P582", ELSEWHERE.end), ("P585", ELSEWHERE.point)):
        text = re.sub(rf"\b{ours}\b", theirs, text)
    unit = re.sub(r"\bwd:Q199\b", "<https://none.invalid>", text).replace("http://www.wikidata.org", ELSEWHERE.base)
    return unit.replace("https://none.invalid", "http://www.wikidata.org/entity/Q199")


@pytest.fixture(scope="module")
def server() -> Iterator[OxigraphServer]:
    with OxigraphServer() as running:
        yield running


class TestFakeSource(StatementSourceConformance):
    @pytest.fixture
    def open_source(self) -> OpenSource:
        return lambda world: world

    @pytest.fixture
    def unreachable(self) -> StatementSource:
        world = FakeSource()
        world.fail_next(SourceDown("no connection"))
        return world


class TestWikidataSource(StatementSourceConformance):
    """Asked as Wikidata's query service, as a dump, beside an event stream, and as a Wikibase of one's own."""

    @pytest.fixture(params=["service", "dump", "streamed", "wikibase"])
    def open_source(self, request: pytest.FixtureRequest, server: OxigraphServer) -> OpenSource:
        def opened(world: FakeSource) -> StatementSource:
            client = SparqlClient(server.endpoint, AGENT)
            text = turtle(world, shape="dump" if request.param == "dump" else "service")
            if request.param == "wikibase":
                server.replace(elsewhere(text))
                return WikidataSource(client, batch=2, subject_page=2, vocabulary=ELSEWHERE)
            server.replace(text)
            polled = WikidataSource(client, batch=2, subject_page=2)
            if request.param == "streamed":
                return StreamedSource(polled, EventStream("http://127.0.0.1:9/stream", AGENT))
            return polled

        return opened

    @pytest.fixture
    def unreachable(self) -> StatementSource:
        client = SparqlClient(f"http://127.0.0.1:{free_port()}/sparql", AGENT, attempts=2, sleep=lambda _: None)
        return WikidataSource(client)
