"""Items as Wikidata publishes them, small ones of our own and real ones, compared with what rdflib reads."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, ValueKind
from kbsync.testing.fake_source import FakeSource
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.source import WikidataSource
from tests.support.oxigraph_server import OxigraphServer
from tests.support.rdf_graph import PROP, PROV, QUALIFIERS, WIKIBASE, Graph, found, node_of
from tests.support.turtle_world import PREFIXES, turtle
from tests.support.wikidata_payloads import from_json, members, needs_real, sample

AGENT = "kbsync-tests/1 (tests@example.org)"
TO_SERVICE_SHAPE = re.sub(r"@prefix (.*) \.", r"PREFIX \1", PREFIXES) + (
    "DELETE { ?data schema:about ?item ; schema:version ?rev ; schema:dateModified ?at } "
    "INSERT { ?item schema:version ?rev ; schema:dateModified ?at } "
    "WHERE { ?data schema:about ?item ; schema:version ?rev ; schema:dateModified ?at }"
)


def source_of(oxigraph: OxigraphServer, triples: str) -> WikidataSource:
    oxigraph.replace(triples)
    return WikidataSource(SparqlClient(oxigraph.endpoint, AGENT))


def dumped(item: str) -> str:
    """An item's Turtle as a dump has it."""
    if item == "Q99000001":
        return sample(f"{item}.ttl")
    return members("wdqs-rdf.tar.gz", ".ttl")[f"dumps/{item}.ttl"].decode()


def compare_item(oxigraph: OxigraphServer, item: str, shape: str) -> tuple[Graph, list[Statement], int, int]:
    """Read an item with all its properties, and compare each statement with the triples.

    Returns the graph, what was read, the item's revision, and how many statements the RDF marks as best ones.
    """
    text = dumped(item)
    graph = Graph(text)
    expected = {node: prop for prop, node in graph.statements(item)}
    source = source_of(oxigraph, text)
    if shape == "service":
        oxigraph.update(TO_SERVICE_SHAPE)
    properties = [PropertyId(prop) for prop in sorted(set(expected.values()))]
    ((record,),) = source.records([ItemId(item)], properties)
    by_node = {node_of(statement): statement for statement in record.statements}
    assert {node: statement.property for node, statement in by_node.items()} == expected
    for node, statement in by_node.items():
        graph.compare(node, statement)
    ranked = [[s for s in record.statements if s.property == prop] for prop in properties]
    return graph, list(record.statements), record.head.revision, sum(map(graph.compare_best, ranked))


def compare_counts(graph: Graph, item: str, read: list[Statement]) -> None:
    """The comparison means little if the item has no qualifiers or only one rank: these are rdflib's own counts."""
    counts, nodes = found(read), [node for _, node in graph.statements(item)]
    for rank in Rank:
        marked = [n for n in nodes if str(graph.objects(n, WIKIBASE + "rank")[0]).endswith(f"{rank.value.title()}Rank")]
        assert counts[rank.value] == len(marked) > 0
    for name, qualifier in QUALIFIERS.items():
        assert counts[name] == sum(bool(graph.objects(n, f"{PROP}qualifier/{qualifier}")) for n in nodes)
    assert counts["reference"] == sum(bool(graph.objects(n, f"{PROV}wasDerivedFrom")) for n in nodes)
    assert min(counts[kind] for kind in ("item", "time", "quantity", "unit", "string", "monolingual", "other")) > 0


@pytest.mark.parametrize("shape", ["dump", "service"])
def test_an_items_statements_are_all_read(oxigraph: OxigraphServer, shape: str) -> None:
    graph, read, revision, best = compare_item(oxigraph, "Q99000001", shape)
    assert (len(read), revision, best) == (16, 1234567890, 9)  # the first two stand in the file
    compare_counts(graph, "Q99000001", read)
    counts = found(read)
    assert (counts["somevalue"], counts["novalue"]) == (1, 1)


@pytest.mark.slow
@needs_real
@pytest.mark.parametrize("shape", ["dump", "service"])
@pytest.mark.parametrize(
    ("item", "revision", "count"),
    [("Q42", 1997465481, 307), ("Q37599471", 1784367683, 110), ("Q24628793", 2263598078, 35)],
)
def test_a_real_items_statements_are_all_read(
    oxigraph: OxigraphServer, item: str, revision: int, count: int, shape: str
) -> None:
    graph, read, read_revision, best = compare_item(oxigraph, item, shape)
    assert len(read) == count  # the number that the file itself states or that its ranks add up to
    assert read_revision == revision
    assert best > 25
    if item == "Q42":
        compare_counts(graph, item, read)


def compare_triples(oxigraph: OxigraphServer, triples: str) -> list[Statement]:
    """Read every item that has statements, and compare each statement with the triples."""
    graph = Graph(triples, "nt")
    expected = {node: (item, prop) for item in graph.items() for prop, node in graph.statements(item)}
    asked = sorted({ItemId(item) for item, _ in expected.values()})
    properties = sorted({PropertyId(prop) for _, prop in expected.values()})
    pages = source_of(oxigraph, triples).records(asked, properties)
    read = [statement for page in pages for record in page for statement in record.statements]
    assert {node_of(s): (s.subject, s.property) for s in read} == expected
    for statement in read:
        graph.compare(node_of(statement), statement)
    return read


def test_triples_with_unknown_and_no_values_are_all_read(oxigraph: OxigraphServer) -> None:
    """As the service's own loader writes them: the items have their revisions, and unknown values are IRIs."""
    counts = found(compare_triples(oxigraph, sample("service.nt")))
    assert [counts[n] for n in ("somevalue", "novalue", "item", "time", "string", "start", "end", "reference")] == [
        1
    ] * 8


@needs_real
def test_real_triples_with_unknown_and_no_values_are_all_read(oxigraph: OxigraphServer) -> None:
    files = members("wdqs-rdf.tar.gz", "_triples.json") | members("wdqs-rdf.tar.gz", "_triples_small.json")
    lines = {line for body in files.values() for line in body.decode().splitlines() if line}
    triples = {"{subject} {predicate} {object} .".format(**json.loads(line)) for line in lines}
    read = compare_triples(oxigraph, "\n".join(sorted(triples)))
    assert len(read) > 250
    counts = found(read)
    assert min(counts[name] for name in ("somevalue", "novalue", "item", "time", "string", "start", "reference")) > 0


def test_labels_of_a_dump(oxigraph: OxigraphServer) -> None:
    source = source_of(oxigraph, dumped("Q99000001"))
    ((own, of_redirect),) = source.labels([ItemId("Q99000001"), ItemId("Q99000009")])
    assert (own.label, own.aliases) == ("Port Sample", ("Porto di Prova", "Sampleport"))
    assert (of_redirect.label, of_redirect.aliases) == (own.label, own.aliases)


@needs_real
def test_real_qualifiers_and_ranks_are_among_them(oxigraph: OxigraphServer) -> None:
    """Otherwise the comparison above would mean little."""
    source = source_of(oxigraph, dumped("Q42"))
    properties = [PropertyId(p) for p in ("P106", "P26", "P69", "P1559", "P2048", "P856", "P569", "P214", "P551")]
    ((record,),) = source.records([ItemId("Q42")], properties)
    kinds = Counter(s.value.kind for s in record.statements if s.value)
    assert kinds.keys() >= {ValueKind.ITEM, ValueKind.TIME, ValueKind.QUANTITY, ValueKind.MONOLINGUAL, ValueKind.STRING}
    assert any(s.start and s.start.precision == 9 for s in record.statements)
    assert any(s.end and s.end.precision == 11 for s in record.statements)
    assert record.labels.label == "Douglas Adams"
    assert "Douglas Noël Adams" in record.labels.aliases


def test_redirects_and_times_of_a_dump(oxigraph: OxigraphServer) -> None:
    source = source_of(oxigraph, dumped("Q99000001"))
    redirect, unknown = source.heads([ItemId("Q99000009"), ItemId("Q99000010")])
    assert (redirect.redirect_to, redirect.revision, redirect.deleted) == ("Q99000001", 1234567000, False)
    assert redirect.modified == datetime(2026, 2, 1, 10, 11, 12, tzinfo=UTC)
    assert (unknown.revision, unknown.deleted) == (0, True)
    assert source.server_time() == datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)


@needs_real
def test_real_redirects(oxigraph: OxigraphServer) -> None:
    source = source_of(oxigraph, members("wdqs-rdf.tar.gz", ".ttl")["rdf/small_dump.ttl"].decode())
    head = next(iter(source.heads([ItemId("Q6825")])))
    assert (head.redirect_to, head.revision, head.deleted) == ("Q26709563", 942411738, False)
    assert head.modified == datetime(2019, 5, 15, 10, 13, 36, tzinfo=UTC)


def world_of(entities: Iterable[dict[str, Any] | None]) -> FakeSource:
    """The items of entity JSON."""
    world = FakeSource(page=1000)
    for entity in entities:
        if entity is None or not re.fullmatch(r"Q\d+", entity["id"]):
            continue
        label = entity["labels"].get("en", {}).get("value")
        aliases = [alias["value"] for alias in (entity["aliases"] or {}).get("en", [])]
        claims = [claim for group in entity["claims"].values() for claim in group]
        statements = [s for claim in claims if (s := from_json(entity["id"], claim))]
        world.set_item(entity["id"], label=label, aliases=aliases, statements=statements)
    return world


def round_trip(oxigraph: OxigraphServer, world: FakeSource) -> tuple[Counter[Snak], Counter[Rank]]:
    """JSON → statements → Turtle → endpoint → statements, for what is unusual and for the most frequent properties.

    Returns how many statements of each kind were read.
    """
    everything = [s for item in world.items.values() for s in item.statements]
    unusual = {s.property for s in everything if s.snak is not Snak.VALUE or s.rank is not Rank.NORMAL}
    watched = sorted(unusual | {p for p, _ in Counter(s.property for s in everything).most_common(20)})
    source = source_of(oxigraph, turtle(world))
    asked = sorted(world.items)
    read = [record for page in source.records(asked, watched) for record in page]
    assert read == next(world.records(asked, watched))
    statements = [s for record in read for s in record.statements]
    return Counter(s.snak for s in statements), Counter(s.rank for s in statements)


def test_an_entity_comes_back_as_its_json_says(oxigraph: OxigraphServer) -> None:
    snaks, ranks = round_trip(oxigraph, world_of([json.loads(sample("Q99000007.json"))]))
    assert snaks == {Snak.VALUE: 6, Snak.SOMEVALUE: 1, Snak.NOVALUE: 1}
    assert ranks == {Rank.PREFERRED: 1, Rank.NORMAL: 6, Rank.DEPRECATED: 1}


@pytest.mark.slow
@needs_real
def test_real_entities_come_back_as_their_json_says(oxigraph: OxigraphServer) -> None:
    """105 entities with all ranks, unknown and no values."""
    bodies = members("entity-json-105.tar.gz", ".json").values()
    snaks, ranks = round_trip(oxigraph, world_of(json.loads(body) for body in bodies))
    assert min(snaks[Snak.SOMEVALUE], snaks[Snak.NOVALUE], ranks[Rank.PREFERRED], ranks[Rank.DEPRECATED]) > 0
    assert snaks[Snak.VALUE] > 2000
