"""How the source asks: pages, halving, contradictory items, shapes, labels; against Oxigraph, with limits before it."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbsync.domain.errors import BadIdentifier, SourceDown, SourceError
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, TimePoint, Value, ValueKind
from kbsync.domain.wellformed import name_flaw
from kbsync.testing.fake_source import FakeSource
from kbsync.wikidata.answers import Row
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.responses import QueryTimeout, TooLarge
from kbsync.wikidata.source import GROW_AFTER, WikidataSource
from tests.support.oxigraph_server import OxigraphServer
from tests.support.turtle_world import PREFIXES, turtle

AGENT = "kbsync-tests/1 (tests@example.org)"
P35, P39, P1082 = PropertyId("P35"), PropertyId("P39"), PropertyId("P1082")
UPDATE_PREFIXES = re.sub(r"@prefix (.*) \.", r"PREFIX \1", PREFIXES)


class LimitedClient(SparqlClient):
    """Raises ``error`` for a query about more than ``limit`` items, or about ``heavy``."""

    def __init__(self, endpoint: str, *, limit: int = 10**9, heavy: str = "", error: type[SourceError] = QueryTimeout):
        super().__init__(endpoint, AGENT)
        self.limit, self.heavy, self.error = limit, heavy, error
        self.sizes: list[int] = []
        self.queries: list[str] = []

    def select(self, query: str) -> list[Row]:
        self.queries.append(query)
        found = re.search(r"VALUES \?item \{ (.*?) \}", query)
        items = found[1].split() if found else []
        if items:
            self.sizes.append(len(items))
        if len(items) > self.limit or (self.heavy in items and len(items) > 0 and self.heavy):
            raise self.error("too much.")
        return super().select(query)


def world_of(count: int) -> FakeSource:
    world = FakeSource()
    for number in range(1, count + 1):
        item = ItemId(f"Q{number}")
        world.set_item(item, label=f"item {number}", statements=[simple(item, "Q900")])
    return world


def simple(subject: ItemId, target: str, number: int = 1) -> Statement:
    return Statement(
        id=f"{subject}$S{number}",
        subject=subject,
        property=P35,
        snak=Snak.VALUE,
        value=Value(ValueKind.ITEM, target),
        rank=Rank.NORMAL,
    )


def ids(count: int) -> list[ItemId]:
    return [ItemId(f"Q{n}") for n in range(1, count + 1)]


def test_one_query_a_page(oxigraph: OxigraphServer) -> None:
    oxigraph.replace(turtle(world_of(5)))
    client = LimitedClient(oxigraph.endpoint)
    source = WikidataSource(client, batch=2)
    assert len(list(source.records(ids(5), [P35, P39, P1082]))) == 3
    assert len(client.queries) == 1 + 3  # the first asks for the endpoint's shape


def test_labels_never_get_into_a_query(oxigraph: OxigraphServer) -> None:
    world = FakeSource()
    world.set_item("Q1", label="SECRET } LABEL", aliases=["SECRET ALIAS"])
    oxigraph.replace(turtle(world))
    client = LimitedClient(oxigraph.endpoint)
    source = WikidataSource(client)
    list(source.records(ids(1), [P35]))
    list(source.labels(ids(1)))
    list(source.heads(ids(1)))
    assert not any("SECRET" in query for query in client.queries)


@pytest.mark.parametrize("error", [QueryTimeout, TooLarge])
def test_a_page_that_is_too_much_is_halved(oxigraph: OxigraphServer, error: type[SourceError]) -> None:
    world = world_of(10)
    oxigraph.replace(turtle(world))
    client = LimitedClient(oxigraph.endpoint, limit=3, error=error)
    source = WikidataSource(client, batch=10)
    pages = list(source.records(ids(10), [P35]))
    assert client.sizes == [10, 5, 2, 2, 2, 2, 2]
    assert [record for page in pages for record in page] == next(world.records(ids(10), [P35]))
    client.sizes.clear()
    assert [head.id for head in source.heads(ids(4))] == ids(4)
    assert client.sizes == [4, 2, 2]
    client.sizes.clear()
    assert [name.item for page in source.labels(ids(3)) for name in page] == ids(3)
    assert client.sizes == [3]


@pytest.mark.parametrize("error", [QueryTimeout, TooLarge])
def test_one_item_that_is_too_much_is_named_and_earlier_pages_were_given(
    oxigraph: OxigraphServer, error: type[SourceError]
) -> None:
    oxigraph.replace(turtle(world_of(6)))
    source = WikidataSource(LimitedClient(oxigraph.endpoint, heavy="wd:Q5", error=error), batch=4)
    pages = source.records(ids(6), [P35])
    assert [record.head.id for record in next(pages)] == ids(4)
    with pytest.raises(error, match="Q5 alone") as caught:
        list(pages)
    assert caught.value.kept == "Finished pages are kept."


def test_pages_grow_back_after_a_heavy_one(oxigraph: OxigraphServer) -> None:
    count = 4 * GROW_AFTER
    oxigraph.replace(turtle(world_of(count)))
    client = LimitedClient(oxigraph.endpoint, limit=2)
    pages = WikidataSource(client, batch=4).records(ids(count), [P35])
    for _ in range(GROW_AFTER):
        next(pages)
    client.limit = 4
    rest = list(pages)
    assert client.sizes == [4] + [2] * GROW_AFTER + [4] * len(rest)
    assert sum(len(page) for page in rest) == count - 2 * GROW_AFTER


def test_an_item_that_changes_meanwhile_is_asked_again(oxigraph: OxigraphServer) -> None:
    """The first answer has a statement with two values, as from a store that is being written to."""
    world = world_of(3)
    oxigraph.replace(turtle(world))
    oxigraph.update(f"{UPDATE_PREFIXES} INSERT DATA {{ s:Q2-S1 ps:P35 wd:Q901 }}")

    class Settling(SparqlClient):
        def select(self, query: str) -> list[Row]:
            answer = super().select(query)
            if "p:P35" in query:
                oxigraph.update(f"{UPDATE_PREFIXES} DELETE DATA {{ s:Q2-S1 ps:P35 wd:Q901 }}")
            return answer

    pages = list(WikidataSource(Settling(oxigraph.endpoint, AGENT)).records(ids(3), [P35]))
    assert [[record.head.id for record in page] for page in pages] == [["Q1", "Q3"], ["Q2"]]
    assert pages[1][0].statements == world.items[ItemId("Q2")].statements


def test_an_item_that_stays_contradictory_is_recorded_as_unknown_and_logged(oxigraph: OxigraphServer) -> None:
    oxigraph.replace(turtle(world_of(2)))
    oxigraph.update(f"{UPDATE_PREFIXES} INSERT DATA {{ s:Q2-S1 ps:P35 wd:Q901 }}")
    with structlog.testing.capture_logs() as logs:
        pages = list(WikidataSource(SparqlClient(oxigraph.endpoint, AGENT)).records(ids(2), [P35]))
    assert [[record.head.id for record in page] for page in pages] == [["Q1"], ["Q2"]]
    assert pages[1][0].statements[0].snak is Snak.SOMEVALUE
    assert [(log["log_level"], log["item"]) for log in logs] == [("warning", "Q2")]


def test_values_without_nodes_and_unknown_values_as_blank_nodes(oxigraph: OxigraphServer) -> None:
    q1 = ItemId("Q1")
    world = FakeSource()
    dated = replace(simple(q1, "Q2", 1), start=TimePoint("2001-01-01T00:00:00Z", 9))
    unknown = replace(simple(q1, "Q2", 2), snak=Snak.SOMEVALUE, value=None)
    amount = replace(simple(q1, "Q2", 3), value=Value(ValueKind.QUANTITY, "+5", "Q11573"))
    world.set_item(q1, statements=[dated, unknown, amount])
    oxigraph.replace(turtle(world, nodes=False, blank=True))
    ((record,),) = WikidataSource(SparqlClient(oxigraph.endpoint, AGENT)).records([q1], [P35])
    assert record.statements == (
        replace(dated, start=TimePoint("2001-01-01T00:00:00Z", 11)),
        unknown,
        replace(amount, value=Value(ValueKind.QUANTITY, "+5")),
    )


def test_a_doubled_time_node_does_not_double_the_references(oxigraph: OxigraphServer) -> None:
    """The same day in two calendars: two nodes with equal time and precision."""
    q1 = ItemId("Q1")
    world = FakeSource()
    dated = replace(simple(q1, "Q2"), start=TimePoint("2001-01-01T00:00:00Z", 11), references=2)
    world.set_item(q1, statements=[dated])
    julian = 'wikibase:timeValue "2001-01-01T00:00:00Z"^^xsd:dateTime ; wikibase:timePrecision 11'
    oxigraph.replace(turtle(world) + f"\ns:Q1-S1 pqv:P580 v:julian . v:julian {julian} .")
    ((record,),) = WikidataSource(SparqlClient(oxigraph.endpoint, AGENT)).records([q1], [P35])
    assert record.statements == (dated,)


def test_the_language_is_a_setting(oxigraph: OxigraphServer) -> None:
    world = FakeSource()
    world.set_item("Q1", label="one", aliases=["uno"])
    oxigraph.replace(turtle(world) + '\nwd:Q1 rdfs:label "um"@pt-BR . wd:Q2 rdfs:label "dos"@mul .')
    client = SparqlClient(oxigraph.endpoint, AGENT)

    def names(language: str) -> list[tuple[str | None, tuple[str, ...]]]:
        source = WikidataSource(client, language=language)
        return [(entry.label, entry.aliases) for page in source.labels(ids(2)) for entry in page]

    assert names("en") == [("one", ("uno",)), ("dos", ())]
    assert names("fr") == [("nom Q1", ("autre Q1",)), ("dos", ())]
    assert names("de") == [(None, ()), ("dos", ())]
    with pytest.raises(BadIdentifier, match="language"):
        WikidataSource(client, language='en") . ?a ?b ?c')


@pytest.mark.parametrize(
    "content", ["", "<http://a> <http://schema.org/version> 7 .", "<http://a> <http://b> <http://c> ."]
)
def test_an_endpoint_that_is_not_wikidata_is_refused(oxigraph: OxigraphServer, content: str) -> None:
    oxigraph.replace(content)
    source = WikidataSource(SparqlClient(oxigraph.endpoint, AGENT))
    for ask in (source.server_time, lambda: list(source.heads(ids(1))), lambda: list(source.records(ids(1), [P35]))):
        with pytest.raises(SourceError, match="not Wikidata") as caught:
            ask()
        assert not isinstance(caught.value, SourceDown)
        assert caught.value.next_step


def pattern_relation(pattern: str) -> Relation:
    return Relation(
        name="heads", property=P35, label="head", phrasings=from_templates("{} is"), subject_pattern=pattern
    )


def test_a_pattern_pages_through_all_items_and_leaves_the_rest_out(oxigraph: OxigraphServer) -> None:
    world = world_of(25)
    oxigraph.replace(turtle(world) + "\nwd:P31 p:P35 s:x . <http://example.org/Q7> p:P35 s:y . wd:L5 p:P35 s:z .")
    client = LimitedClient(oxigraph.endpoint)
    source = WikidataSource(client, subject_page=4)
    assert source.subjects(pattern_relation("?item p:P35 []")) == sorted(ids(25))
    assert len(client.queries) == 8


def test_an_item_that_vanishes_between_pages_hides_no_other(oxigraph: OxigraphServer) -> None:
    oxigraph.replace(turtle(world_of(9)))

    class Vanishing(SparqlClient):
        def select(self, query: str) -> list[Row]:
            answer = super().select(query)
            oxigraph.update(f"{UPDATE_PREFIXES} DELETE WHERE {{ wd:Q1 p:P35 ?st }}")
            return answer

    source = WikidataSource(Vanishing(oxigraph.endpoint, AGENT), subject_page=3)
    assert source.subjects(pattern_relation("?item p:P35 []")) == ids(9)


def test_a_pattern_without_item_or_with_wrong_syntax_is_an_error(oxigraph: OxigraphServer) -> None:
    oxigraph.replace(turtle(world_of(1)))
    source = WikidataSource(SparqlClient(oxigraph.endpoint, AGENT))
    with pytest.raises(SourceError, match=r"does not bind \?item"):
        source.subjects(pattern_relation("?x p:P35 []"))
    with pytest.raises(SourceError, match="subject pattern"):
        source.subjects(pattern_relation("?item p:P35 [[["))


def test_an_endpoint_that_ignores_the_order_is_refused(oxigraph: OxigraphServer) -> None:
    oxigraph.replace(turtle(world_of(5)))

    class Unordered(SparqlClient):
        def select(self, query: str) -> list[Row]:
            return super().select(query.replace("ORDER BY STR(?item)", "ORDER BY DESC(STR(?item))"))

    with pytest.raises(SourceError, match="order"):
        WikidataSource(Unordered(oxigraph.endpoint, AGENT), subject_page=3).subjects(pattern_relation("?item p:P35 []"))


times = st.builds(
    lambda y, m, d, p: TimePoint(f"{y:04d}-{m:02d}-{d:02d}T00:00:00Z", p),
    st.integers(1, 2100),
    st.integers(1, 12),
    st.integers(1, 28),
    st.integers(7, 11),
)
texts = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
names = texts.filter(lambda text: not name_flaw(text))
values = st.one_of(
    st.integers(1, 99).map(lambda n: Value(ValueKind.ITEM, f"Q{n}")),
    times.map(lambda t: Value(ValueKind.TIME, t.iso, str(t.precision))),
    st.tuples(st.integers(-(10**9), 10**9), st.sampled_from(["", "Q11573", "Q25267"])).map(
        lambda q: Value(ValueKind.QUANTITY, f"{q[0]:+d}", q[1])
    ),
    texts.map(lambda t: Value(ValueKind.STRING, t)),
    st.tuples(texts, st.sampled_from(["en", "fr", "zh-hant"])).map(lambda m: Value(ValueKind.MONOLINGUAL, *m)),
)


@st.composite
def worlds(draw: st.DrawFn) -> FakeSource:
    world = FakeSource(now=datetime(2026, 1, 1, tzinfo=UTC))
    for item in draw(st.lists(st.sampled_from(ids(6)), unique=True, min_size=1)):
        if draw(st.integers(0, 5)) == 0:
            world.redirect(item, "Q50")
            continue
        statements = []
        for number in range(draw(st.integers(0, 4))):
            snak = draw(st.sampled_from([Snak.VALUE, Snak.VALUE, Snak.VALUE, Snak.SOMEVALUE, Snak.NOVALUE]))
            statements.append(
                Statement(
                    id=f"{item}$S{number}",
                    subject=item,
                    property=draw(st.sampled_from([P35, P39, P1082])),
                    snak=snak,
                    value=draw(values) if snak is Snak.VALUE else None,
                    rank=draw(st.sampled_from(list(Rank))),
                    start=draw(st.none() | times),
                    end=draw(st.none() | times),
                    point_in_time=draw(st.none() | times),
                    references=draw(st.integers(0, 3)),
                )
            )
        world.set_item(
            item, label=draw(st.none() | names), aliases=draw(st.lists(names, max_size=2)), statements=statements
        )
    return world


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(world=worlds(), shape=st.sampled_from(["service", "dump"]), blank=st.booleans(), batch=st.integers(1, 7))
def test_any_world_comes_back_as_it_is(
    oxigraph: OxigraphServer, world: FakeSource, shape: str, blank: bool, batch: int
) -> None:
    oxigraph.replace(turtle(world, shape=shape, blank=blank))
    source = WikidataSource(SparqlClient(oxigraph.endpoint, AGENT), batch=batch)
    asked = ids(7)
    properties = [P39, P35]
    assert [r for page in source.records(asked, properties) for r in page] == next(world.records(asked, properties))
    assert list(source.heads(asked)) == list(world.heads(asked))
    assert [n for page in source.labels(asked) for n in page] == next(world.labels(asked))
