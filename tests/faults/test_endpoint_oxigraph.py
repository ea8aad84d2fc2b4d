"""Faults of a real server: its own query timeout, a syntax error, and an end between two pages."""

from __future__ import annotations

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.testing.fake_source import FakeSource
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.responses import QueryTimeout
from kbsync.wikidata.source import WikidataSource
from tests.support.oxigraph_server import OxigraphServer, free_port
from tests.support.turtle_world import turtle

AGENT = "kbsync-tests/1 (tests@example.org)"
P35 = PropertyId("P35")


def world_of(count: int) -> FakeSource:
    world = FakeSource()
    for number in range(1, count + 1):
        world.set_item(f"Q{number}", label=f"item {number}")
    return world


def test_the_servers_own_timeout_is_a_query_timeout() -> None:
    with OxigraphServer(query_timeout=1) as server:
        server.replace(turtle(world_of(100)))
        client = SparqlClient(server.endpoint, AGENT)
        with pytest.raises(QueryTimeout):
            client.select("SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i }")
        assert [row["n"].text for row in client.select("SELECT (COUNT(*) AS ?n) { <http://a> ?b ?c }")] == ["0"]


def test_a_syntax_error_is_final() -> None:
    with OxigraphServer() as server, pytest.raises(SourceError, match="400") as caught:
        SparqlClient(server.endpoint, AGENT).select("SELECT ?x { ?x ?y }")
    assert not isinstance(caught.value, SourceDown)


def test_a_server_that_goes_away_between_pages_and_comes_back() -> None:
    world = world_of(4)
    server = OxigraphServer(port=free_port())
    server.start()
    try:
        server.replace(turtle(world))
        sleeps: list[float] = []
        client = SparqlClient(server.endpoint, AGENT, attempts=3, sleep=sleeps.append)
        source = WikidataSource(client, batch=2)
        asked = [ItemId(f"Q{n}") for n in range(1, 5)]
        pages = source.records(asked, [P35])
        assert [record.head.id for record in next(pages)] == ["Q1", "Q2"]
        server.stop()
        with pytest.raises(SourceDown):
            next(pages)
        assert len(sleeps) == 2

        server.start()
        server.replace(turtle(world))
        assert [record.head.id for page in source.records(asked[2:], [P35]) for record in page] == ["Q3", "Q4"]
    finally:
        server.stop()


def test_a_server_that_comes_back_while_we_wait_is_used() -> None:
    server = OxigraphServer(port=free_port())

    def sleep(_: float) -> None:
        server.start()
        server.replace(turtle(world_of(1)))

    try:
        source = WikidataSource(SparqlClient(server.endpoint, AGENT, attempts=2, sleep=sleep))
        assert source.server_time() == FakeSource().now
    finally:
        server.stop()
