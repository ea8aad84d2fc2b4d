"""Real data: the query service's own Turtle and results, and entity JSON, against counts taken another way."""

from __future__ import annotations

import json
import re
import tarfile
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.statement import (
    ItemId,
    PropertyId,
    Rank,
    Snak,
    Statement,
    TimePoint,
    Value,
    ValueKind,
)
from kbsync.testing.fake_source import FakeSource
from kbsync.wikidata.answers import Answer, judge
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.source import WikidataSource
from tests.support.oxigraph_server import OxigraphServer
from tests.support.paths import DATA as REFERENCE
from tests.support.rdf_graph import PROP, PROV, QUALIFIERS, WIKIBASE, Graph, found, node_of
from tests.support.turtle_world import PREFIXES, turtle

DATA = REFERENCE / "wikidata"
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason="the reference data ../shared/data/wikidata is not there")

AGENT = "kbsync-tests/1 (tests@example.org)"
ENTITY = "http://www.wikidata.org/entity/"
TO_SERVICE_SHAPE = re.sub(r"@prefix (.*) \.", r"PREFIX \1", PREFIXES) + (
    "DELETE { ?data schema:about ?item ; schema:version ?rev ; schema:dateModified ?at } "
    "INSERT { ?item schema:version ?rev ; schema:dateModified ?at } "
    "WHERE { ?data schema:about ?item ; schema:version ?rev ; schema:dateModified ?at }"
)


def members(archive: str, ending: str) -> dict[str, bytes]:
    found = {}
    with tarfile.open(DATA / archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() and member.name.endswith(ending) else None
            if content is not None:
                found[Path(member.name).parent.name + "/" + Path(member.name).name] = content.read()
    return found


@pytest.mark.parametrize("shape", ["dump", "service"])
@pytest.mark.parametrize(
    ("item", "revision", "count"),
    [("Q42", 1997465481, 307), ("Q37599471", 1784367683, 110), ("Q24628793", 2263598078, 35)],
)
def test_a_real_items_statements_are_all_read(
    oxigraph: OxigraphServer, item: str, revision: int, count: int, shape: str
) -> None:
    text = members("wdqs-rdf.tar.gz", ".ttl")[f"dumps/{item}.ttl"]
    graph = Graph(text.decode())
    expected = {node: prop for prop, node in graph.statements(item)}
    assert len(expected) == count  # the number that the file itself states or that its ranks add up to
    oxigraph.replace(text.decode())
    if shape == "service":
        oxigraph.update(TO_SERVICE_SHAPE)
    source = WikidataSource(SparqlClient(oxigraph.endpoint, AGENT))
    properties = [PropertyId(p) for p in sorted(set(expected.values()))]
    ((record,),) = source.records([ItemId(item)], properties)
    assert record.head.revision == revision
    by_node = {f"{ENTITY}statement/{s.id.replace('$', '-', 1)}": s for s in record.statements}
    assert {node: s.property for node, s in by_node.items()} == expected
    for node, statement in by_node.items():
        graph.compare(node, statement)
    ranked = [[s for s in record.statements if s.property == prop] for prop in properties]
    assert sum(map(graph.compare_best, ranked)) > 25
    if item == "Q42":
        compare_counts(graph, list(record.statements))


def compare_counts(graph: Graph, read: list[Statement]) -> None:
    """The comparison means little if the item had no qualifiers or only one rank: these are rdflib's own counts."""
    counts, nodes = found(read), [node for _, node in graph.statements("Q42")]
    for rank in Rank:
        marked = [n for n in nodes if str(graph.objects(n, WIKIBASE + "rank")[0]).endswith(f"{rank.value.title()}Rank")]
        assert counts[rank.value] == len(marked) > 0
    for name, qualifier in QUALIFIERS.items():
        assert counts[name] == sum(bool(graph.objects(n, f"{PROP}qualifier/{qualifier}")) for n in nodes)
    assert counts["reference"] == sum(bool(graph.objects(n, f"{PROV}wasDerivedFrom")) for n in nodes)
    assert min(counts[kind] for kind in ("item", "time", "quantity", "unit", "string", "monolingual", "other")) > 0


def test_real_triples_with_unknown_and_no_values_are_all_read(oxigraph: OxigraphServer) -> None:
    """What the service's own loader made of real items: their revisions lie on them, unknown values are IRIs."""
    files = members("wdqs-rdf.tar.gz", "_triples.json") | members("wdqs-rdf.tar.gz", "_triples_small.json")
    lines = {line for body in files.values() for line in body.decode().splitlines() if line}
    told = [json.loads(line) for line in lines]
    triples = "\n".join(sorted({f"{t['subject']} {t['predicate']} {t['object']} ." for t in told}))
    graph = Graph(triples, "nt")
    oxigraph.replace(triples)
    expected = {node: (item, prop) for item in graph.items() for prop, node in graph.statements(item)}
    asked = sorted({ItemId(item) for item, _ in expected.values()})
    properties = sorted({PropertyId(prop) for _, prop in expected.values()})
    source = WikidataSource(SparqlClient(oxigraph.endpoint, AGENT))
    read = [s for page in source.records(asked, properties) for record in page for s in record.statements]
    assert {node_of(s): (s.subject, s.property) for s in read} == expected
    assert len(expected) > 250
    for statement in read:
        graph.compare(node_of(statement), statement)
    counts = found(read)
    assert min(counts[name] for name in ("somevalue", "novalue", "item", "time", "string", "start", "reference")) > 0


def test_real_qualifiers_and_ranks_are_among_them(oxigraph: OxigraphServer) -> None:
    """The comparison above means little if the items had no qualifiers or only one rank."""
    oxigraph.replace(members("wdqs-rdf.tar.gz", ".ttl")["dumps/Q42.ttl"].decode())
    source = WikidataSource(SparqlClient(oxigraph.endpoint, AGENT))
    properties = [PropertyId(p) for p in ("P106", "P26", "P69", "P1559", "P2048", "P856", "P569", "P214", "P551")]
    ((record,),) = source.records([ItemId("Q42")], properties)
    kinds = Counter(s.value.kind for s in record.statements if s.value)
    assert kinds.keys() >= {ValueKind.ITEM, ValueKind.TIME, ValueKind.QUANTITY, ValueKind.MONOLINGUAL, ValueKind.STRING}
    assert any(s.start and s.start.precision == 9 for s in record.statements)
    assert any(s.end and s.end.precision == 11 for s in record.statements)
    assert record.labels.label == "Douglas Adams"
    assert "Douglas Noël Adams" in record.labels.aliases


def test_real_redirects(oxigraph: OxigraphServer) -> None:
    files = members("wdqs-rdf.tar.gz", ".ttl")
    oxigraph.replace(files["rdf/small_dump.ttl"].decode())
    head = next(iter(WikidataSource(SparqlClient(oxigraph.endpoint, AGENT)).heads([ItemId("Q6825")])))
    assert (head.redirect_to, head.revision, head.deleted) == ("Q26709563", 942411738, False)
    assert head.modified == datetime(2019, 5, 15, 10, 13, 36, tzinfo=UTC)


def test_real_results_are_read_whole() -> None:
    files = members("wdqs-sparql-results-json.tar.gz", ".json")
    assert len(files) == 56
    total = 0
    for name, body in files.items():
        rows = judge(Answer(200, {"content-type": "application/sparql-results+json;charset=utf-8"}, body), name, None)
        bindings = json.loads(body)["results"]["bindings"]
        total += len(rows)
        assert [{k: t.text for k, t in row.items()} for row in rows] == [
            {k: t["value"] for k, t in binding.items()} for binding in bindings
        ]
    assert total > 500


def test_real_entities_come_back_as_their_json_says(oxigraph: OxigraphServer) -> None:
    """105 entities with all ranks, unknown and no values: JSON → statements → Turtle → endpoint → statements."""
    world = FakeSource(page=1000)
    for body in members("entity-json-105.tar.gz", ".json").values():
        entity = json.loads(body)
        if entity is None or not re.fullmatch(r"Q\d+", entity["id"]):
            continue
        label = entity["labels"].get("en", {}).get("value")
        aliases = [alias["value"] for alias in (entity["aliases"] or {}).get("en", [])]
        statements = [
            s for group in entity["claims"].values() for claim in group if (s := from_json(entity["id"], claim))
        ]
        world.set_item(entity["id"], label=label, aliases=aliases, statements=statements)
    everything = [s for item in world.items.values() for s in item.statements]
    unusual = {s.property for s in everything if s.snak is not Snak.VALUE or s.rank is not Rank.NORMAL}
    watched = sorted(unusual | {p for p, _ in Counter(s.property for s in everything).most_common(20)})
    snaks = Counter(s.snak for s in everything if s.property in watched)
    ranks = Counter(s.rank for s in everything if s.property in watched)
    assert min(snaks[Snak.SOMEVALUE], snaks[Snak.NOVALUE], ranks[Rank.PREFERRED], ranks[Rank.DEPRECATED]) > 0
    assert snaks[Snak.VALUE] > 2000

    oxigraph.replace(turtle(world))
    source = WikidataSource(SparqlClient(oxigraph.endpoint, AGENT))
    asked = sorted(world.items)
    assert [r for page in source.records(asked, watched) for r in page] == next(world.records(asked, watched))


def from_json(subject: str, claim: dict[str, Any]) -> Statement | None:
    """A claim of Wikibase's entity JSON; None for kinds of value that this test leaves out."""
    snak = claim["mainsnak"]
    value = from_datavalue(snak["datavalue"], snak["datatype"]) if snak["snaktype"] == "value" else None
    if snak["snaktype"] == "value" and value is None:
        return None
    qualifiers = claim.get("qualifiers", {})
    return Statement(
        id=claim["id"],
        subject=ItemId(subject),
        property=PropertyId(snak["property"]),
        snak=Snak(snak["snaktype"]),
        value=value,
        rank=Rank(claim["rank"]),
        start=qualifier_time(qualifiers, "P580"),
        end=qualifier_time(qualifiers, "P582"),
        point_in_time=qualifier_time(qualifiers, "P585"),
        references=len(claim.get("references", [])),
    )


def from_datavalue(data: dict[str, Any], datatype: str) -> Value | None:
    value = data["value"]
    match datatype:
        case "wikibase-item":
            return Value(ValueKind.ITEM, value["id"])
        case "string" | "external-id":
            return Value(ValueKind.STRING, value)
        case "monolingualtext":
            return Value(ValueKind.MONOLINGUAL, value["text"], value["language"])
        case "quantity":
            unit = value["unit"].rpartition("/")[2]
            amount = value["amount"]
            trimmed = amount.rstrip("0").rstrip(".") if "." in amount else amount
            return Value(ValueKind.QUANTITY, trimmed, unit if unit.startswith("Q") else "")
        case "time":
            iso = rdf_time(value["time"])
            return Value(ValueKind.TIME, iso, str(value["precision"])) if iso else None
    return None


def rdf_time(time: str) -> str | None:
    """As the RDF export writes it: no plus, first of January or of the month for 00; None before our era."""
    return (
        None if time.startswith("-") else time.removeprefix("+").replace("-00-00T", "-01-01T").replace("-00T", "-01T")
    )


def qualifier_time(qualifiers: dict[str, list[dict[str, Any]]], prop: str) -> TimePoint | None:
    times = [
        TimePoint(iso, snak["datavalue"]["value"]["precision"])
        for snak in qualifiers.get(prop, [])
        if snak["snaktype"] == "value" and (iso := rdf_time(snak["datavalue"]["value"]["time"]))
    ]
    if not times:
        return None
    return (min if prop == "P580" else max)(times, key=TimePoint.sort_key)
