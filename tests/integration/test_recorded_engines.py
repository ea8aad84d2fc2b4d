"""Answers in the shapes that QLever and Blazegraph are documented to give; neither can be started here.

Beside each shape stands where it is documented. QLever: its repository ``ad-freiburg/qlever``, by number of the issue
or pull request, or by file. Blazegraph: reports of users of Wikidata's query service.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from kbsync.domain.errors import SourceError
from kbsync.domain.statement import ItemId, PropertyId, TimePoint, Value, ValueKind
from kbsync.wikidata import rows
from kbsync.wikidata.answers import parse
from kbsync.wikidata.responses import QueryTimeout, Response, TooLarge, Transient

WD = "http://www.wikidata.org/entity/"
XSD = "http://www.w3.org/2001/XMLSchema#"
Q1 = ItemId("Q1")
NODE = f"{WD}statement/Q1-0-A"
JSON = {"content-type": "application/sparql-results+json"}


def uri(text: str) -> dict[str, str]:
    return {"type": "uri", "value": text}


def qlever(value: str, kind: str) -> dict[str, str]:
    """``src/engine/ExportQueryExecutionTrees.cpp`` (2025): no part of a term has another name than in the standard."""
    return {"type": "literal", "value": value, "datatype": XSD + kind}


def blazegraph(value: str, kind: str) -> dict[str, str]:
    """As in answers of query.wikidata.org (2018 to 2026)."""
    return {"datatype": XSD + kind, "type": "literal", "value": value}


def answer(*statement: dict[str, Any], integer: str = "int") -> bytes:
    """A page of ``Q1`` with one statement.

    As QLever gives it: whole numbers as ``xsd:int`` (1817), a row that binds nothing as ``null`` and a member ``meta``
    of its own at the end (``selectQueryResultToStream`` in ``src/engine/ExportQueryExecutionTrees.cpp``).
    """
    head = {"item": uri(f"{WD}Q1"), "rev": qlever("7", integer), "modified": qlever("2026-01-02T03:04:05Z", "dateTime")}
    about = {"item": uri(f"{WD}Q1"), "st": uri(NODE)}
    bindings = [
        head,
        *(
            {**about, "rev": qlever("7", integer), "property": uri(f"{WD}P1"),
             "rank": uri("http://wikiba.se/ontology#NormalRank"), **part}
            for part in statement
        ),
        {**about, "refs": qlever("2", integer)},
        {"names": qlever("0", integer)},
        {"statements": qlever("1", integer)},
        None,
    ]  # fmt: skip
    document = {
        "head": {"vars": ["item"]},
        "results": {"bindings": bindings},
        "meta": {"query-time-ms": 12, "result-size-total": 5},
    }
    return json.dumps(document).encode()


def read(body: bytes) -> Any:
    found = [row for row in parse(Response(200, JSON, body), "e", None) if row]
    (record,), torn = rows.records(found, [Q1], "en", [PropertyId("P1")])
    assert torn == {}
    assert record.head.revision == 7
    assert record.statements[0].references == 2
    return record.statements[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # 2106, 2160 (2025, open): years before our era are padded to four signs, the minus among them.
        (qlever("-043-03-13T00:00:00Z", "dateTime"), Value(ValueKind.TIME, "-0044-03-13T00:00:00Z", "11")),
        (blazegraph("-0043-03-13T00:00:00Z", "dateTime"), Value(ValueKind.TIME, "-0044-03-13T00:00:00Z", "11")),
        # 3136 (July 2026, open): beyond 9,999 years there is a year only, without a zone.
        (qlever("-11700-01-01T00:00:00", "dateTime"), Value(ValueKind.TIME, "-11701-01-01T00:00:00Z", "11")),
        (blazegraph("-11700-01-01T00:00:00Z", "dateTime"), Value(ValueKind.TIME, "-11701-01-01T00:00:00Z", "11")),
        # 2358 (September 2025): whole decimals with a needless nought; before, as xsd:int (341).
        (qlever("1409517397.0", "decimal"), Value(ValueKind.QUANTITY, "+1409517397")),
        (qlever("1409517397", "int"), Value(ValueKind.QUANTITY, "+1409517397")),
        # 2886 (May 2026, open): decimals are binary numbers, so that long ones end in noise.
        (qlever("5972000000000000327155712.0", "decimal"), Value(ValueKind.QUANTITY, "+5972000000000000000000000")),
        # 2486 (November 2025): 13 digits of a fraction, or an exponent.
        (qlever("0.3333333333333", "decimal"), Value(ValueKind.QUANTITY, "+0.3333333333333")),
        (qlever("1.5e-07", "decimal"), Value(ValueKind.QUANTITY, "+0.00000015")),
        (blazegraph("+8848.86", "decimal"), Value(ValueKind.QUANTITY, "+8848.86")),
        # src/engine/ExportQueryExecutionTrees.cpp: a plain literal has no datatype; a language is kept as loaded.
        ({"type": "literal", "value": "ABC-1"}, Value(ValueKind.STRING, "ABC-1")),
        ({"type": "literal", "value": "Paris", "xml:lang": "fr"}, Value(ValueKind.MONOLINGUAL, "Paris", "fr")),
        ({"xml:lang": "fr", "type": "literal", "value": "Paris"}, Value(ValueKind.MONOLINGUAL, "Paris", "fr")),
    ],
)
def test_values_in_an_engines_own_form(value: dict[str, str], expected: Value) -> None:
    assert read(answer({"value": value})).value == expected


def test_unknown_values_are_blank_nodes_or_iris() -> None:
    """QLever numbers blank nodes (``bn12``); the service's loader makes IRIs of them for every engine."""
    for value in ({"type": "bnode", "value": "bn12"}, uri("http://www.wikidata.org/.well-known/genid/ab")):
        assert read(answer({"value": value}, integer="integer")).value is None


def test_short_years_of_qualifiers() -> None:
    start = qlever("-043-03-13T00:00:00Z", "dateTime")
    part = {"value": uri(f"{WD}Q5"), "start": start, "startTime": start, "startPrecision": qlever("9", "int")}
    assert read(answer(part)).start == TimePoint("-0043-03-13T00:00:00Z", 9)


QUERY = "SELECT ?item WHERE { ?item rdfs:label 'Out of memory'@en }"


def told_by_qlever(exception: str) -> bytes:
    """An error of QLever, with the query beside it, as in qlever-dev/qlever-control issue 186 (September 2025)."""
    told = {"exception": exception, "query": QUERY, "resultsize": 0, "status": "ERROR"}
    return json.dumps(told | {"time": {"computeResult": 15743, "total": 15743}}, indent=4).encode()


def told_by_blazegraph(*exceptions: str) -> bytes:
    """The query, and then Java's exceptions, as in the-qa-company/rdf-entity-viewer issue 1 (December 2022)."""
    return f"SPARQL-QUERY: queryStr={QUERY}\n".encode() + "\n\tat com.bigdata.X\nCaused by: ".join(exceptions).encode()


MEMORY = "Tried to allocate 6.6 GB, but only 3.3 GB were available. Clear the cache or allow more memory for QLever"
REFUSALS = {
    # 2957 (June 2026): a query that takes too long ends with status 429. 1420: the words.
    "QLever, time": (429, told_by_qlever("Operation timed out."), QueryTimeout),
    "QLever, time, older": (500, told_by_qlever("Operation timed out."), QueryTimeout),
    "QLever, memory": (500, told_by_qlever(MEMORY), TooLarge),
    # 2957: the same status where another one cancelled the query. The service's gateway may make a 504 of it.
    "QLever, cancelled": (429, told_by_qlever("Operation was manually cancelled."), Transient),
    "a gateway": (504, b'{"message": "upstream request timeout"}', QueryTimeout),
    # Server.cpp: the parser's errors have status 400.
    "QLever, syntax": (400, told_by_qlever("Invalid SPARQL query: mismatched input '['"), SourceError),
    "QLever, a fault": (500, told_by_qlever("Assertion `it != end` failed. Please report this"), Transient),
    # osm-search/wikipedia-wikidata issue 4 (2021), commons-app/apps-android-commons issue 6064 (2025).
    "Blazegraph, time": (500, told_by_blazegraph("java.util.concurrent.TimeoutException"), QueryTimeout),
    "Blazegraph, syntax": (500, told_by_blazegraph("org.openrdf.query.MalformedQueryException: E"), SourceError),
    "Blazegraph, a fault": (500, told_by_blazegraph("java.lang.NullPointerException"), Transient),
    "Blazegraph, memory": (
        500,
        told_by_blazegraph("java.util.concurrent.ExecutionException: x", "com.bigdata.MemoryManagerOutOfMemory"),
        TooLarge,
    ),
}


@pytest.mark.parametrize("shape", REFUSALS)
def test_how_they_refuse(shape: str) -> None:
    status, body, expected = REFUSALS[shape]
    with pytest.raises(expected) as caught:
        parse(Response(status, {"content-type": "application/json"}, body), "e", None)
    assert type(caught.value) is expected
    assert "rdfs:label" not in str(caught.value)


EXPORTING = """
 !!!!>># An error has occurred while exporting the query result. Unfortunately due to limitations in the HTTP 1.1
 protocol, there is no better way to report this than to append it to the incomplete result. The error message was:
"""
"""How QLever ends an answer of status 200 that it can't finish (``convertStreamGeneratorForChunkedTransfer``)."""
BREAKS = {
    "QLever, time": (EXPORTING + "Operation timed out.", QueryTimeout),
    "QLever, memory": (EXPORTING + MEMORY, TooLarge),
    "QLever, another": (EXPORTING + "A very strange exception, please report this", Transient),
    # osm-search/wikipedia-wikidata issue 4 (2021): the error stands inside a value.
    "Blazegraph, time": (told_by_blazegraph("java.util.concurrent.TimeoutException").decode(), QueryTimeout),
    # google/schemarama issue 27 (2021): the answer just ends.
    "Blazegraph, cut": ("", Transient),
}


@pytest.mark.parametrize("shape", BREAKS)
@pytest.mark.parametrize("where", [60, 200, 330])
def test_how_they_break_off_their_rows(shape: str, where: int) -> None:
    text, expected = BREAKS[shape]
    body = answer({"value": uri(f"{WD}Q5")})[:where] + text.encode()
    with pytest.raises(expected) as caught:
        parse(Response(200, JSON, body), "e", None)
    assert type(caught.value) is expected
