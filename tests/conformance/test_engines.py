"""The real source against other SPARQL engines than Oxigraph, really started where they are installed.

An engine that is not installed is skipped by name; CI has none of them. ``python -m tests.evidence engines`` writes the
outcome of each question for each engine.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kbsync.domain.errors import SourceError
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ports import StatementSource
from kbsync.testing import FakeSource
from kbsync.testing.conformance import OpenSource, StatementSourceConformance
from kbsync.wikidata.answers import Row
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.source import WikidataSource
from tests.support.broken_answers import small_world
from tests.support.engines import ENGINES, Engine
from tests.support.oxigraph_server import free_port
from tests.support.turtle_world import turtle

AGENT = "tests@example.org"
ITEMS = [ItemId(f"Q{n}") for n in (1, 2, 3, 4, 9)]
PROPERTIES = [PropertyId(p) for p in ("P35", "P571", "P1082")]
INSTALLED = [
    pytest.param(
        name,
        marks=[pytest.mark.skipif(bool(kind.missing()), reason=f"{name} is not installed: {kind.missing()}")],
    )
    for name, kind in ENGINES.items()
]


@pytest.fixture(scope="module", params=INSTALLED)
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    with ENGINES[request.param]() as running:
        yield running


class TestEngines(StatementSourceConformance):
    @pytest.fixture
    def open_source(self, engine: Engine) -> OpenSource:
        def opened(world: FakeSource) -> StatementSource:
            engine.replace(turtle(world))
            client = SparqlClient(engine.endpoint, AGENT, timeout=60, attempts=1)
            return WikidataSource(client, batch=2, subject_page=2)

        return opened

    @pytest.fixture
    def unreachable(self) -> StatementSource:
        client = SparqlClient(f"http://127.0.0.1:{free_port()}/sparql", AGENT, attempts=1)
        return WikidataSource(client)

    def test_a_mistake_in_a_query_is_final_at_once(self, engine: Engine) -> None:
        world = FakeSource()
        world.set_item("Q1")
        engine.replace(turtle(world))
        client = SparqlClient(engine.endpoint, AGENT, attempts=5, sleep=lambda _: pytest.fail("asked again"))
        with pytest.raises(SourceError) as caught:
            client.select("SELECT ?x WHERE { ?x [[[ }")
        assert not caught.value.transient
        assert "overload" not in str(caught.value)

    def test_redirects_are_followed_to_the_end_of_their_chain(self, open_source: OpenSource) -> None:
        world = FakeSource()
        world.set_item("Q4", label="four", aliases=["vier"])
        for item, target in (("Q1", "Q2"), ("Q2", "Q3"), ("Q3", "Q4")):
            world.redirect(item, target)
        entries = [entry for page in open_source(world).labels([ItemId("Q1")]) for entry in page]
        assert [(entry.item, entry.label, entry.aliases) for entry in entries] == [("Q1", "four", ("vier",))]

    def test_a_dump_is_read_like_the_service(self, engine: Engine) -> None:
        world = small_world()
        times, read = [], []
        for shape in ("service", "dump"):
            engine.replace(turtle(world, shape=shape))
            source = WikidataSource(SparqlClient(engine.endpoint, AGENT, timeout=60, attempts=1))
            times.append(source.server_time())
            read.append([record for page in source.records(ITEMS, PROPERTIES) for record in page])
        assert (times[0], read[0]) == (times[1], read[1])
        assert sum(len(record.statements) for record in read[0]) == 5

    def test_cut_off_answers_are_asked_for_in_parts(self, engine: Engine) -> None:
        """Rows beyond a cap are missing without a word, or with the header that Virtuoso has for it."""
        world = small_world()
        engine.replace(turtle(world))
        whole = WikidataSource(SparqlClient(engine.endpoint, AGENT, timeout=60, attempts=1))
        wanted = [record for page in whole.records(ITEMS, PROPERTIES) for record in page]
        names = [entry for page in whole.labels(ITEMS) for entry in page]
        if engine.name == "virtuoso":
            capped = WikidataSource(SparqlClient(f"{engine.endpoint}&maxrows=20", AGENT, timeout=60, attempts=1))
        else:
            capped = WikidataSource(Capping(engine.endpoint, AGENT, timeout=60, attempts=1))
        assert [record for page in capped.records(ITEMS, PROPERTIES) for record in page] == wanted
        assert [entry for page in capped.labels(ITEMS) for entry in page] == names
        assert [head.id for head in capped.heads(ITEMS)] == ITEMS


class Capping(SparqlClient):
    """Loses every row after the 20th."""

    def select(self, query: str) -> list[Row]:
        return super().select(query)[:20]
