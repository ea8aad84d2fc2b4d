"""Answers shaped as QLever and Blazegraph give them, which can't be started here: the same terms in their own forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kbsync.domain.statement import ItemId, PropertyId, TimePoint, Value, ValueKind
from kbsync.wikidata import rows
from kbsync.wikidata.answers import QueryTimeout, Response, TooLarge, parse

WD = "http://www.wikidata.org/entity/"
XSD = "http://www.w3.org/2001/XMLSchema#"
Q1 = ItemId("Q1")
NODE = f"{WD}statement/Q1-0-A"


def uri(text: str) -> dict[str, str]:
    return {"type": "uri", "value": text}


def qlever(value: str, kind: str) -> dict[str, str]:
    return {"type": "literal", "value": value, "datatype": XSD + kind}


def blazegraph(value: str, kind: str) -> dict[str, str]:
    return {"datatype": XSD + kind, "type": "literal", "value": value}


def answer(*statement: dict[str, Any], integer: str = "int") -> bytes:
    """A page of ``Q1`` with one statement, as QLever gives it: numbers as xsd:int, and a part of its own at the end."""
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
    ]  # fmt: skip
    document = {"head": {"vars": ["item"]}, "results": {"bindings": bindings}, "meta": {"query-time-ms": 12.5}}
    return json.dumps(document).encode()


def read(body: bytes) -> Any:
    found = parse(Response(200, {"content-type": "application/sparql-results+json"}, body), "e", None)
    (record,), torn = rows.records(found, [Q1], "en", [PropertyId("P1")])
    assert torn == {}
    assert record.head.revision == 7
    assert record.statements[0].references == 2
    return record.statements[0]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (qlever("-043-03-13T00:00:00Z", "dateTime"), Value(ValueKind.TIME, "-0044-03-13T00:00:00Z", "11")),
        (blazegraph("-0043-03-13T00:00:00Z", "dateTime"), Value(ValueKind.TIME, "-0044-03-13T00:00:00Z", "11")),
        (qlever("1409517397.0", "decimal"), Value(ValueKind.QUANTITY, "+1409517397")),
        (qlever("1409517397", "int"), Value(ValueKind.QUANTITY, "+1409517397")),
        (qlever("1.5e+3", "double"), Value(ValueKind.QUANTITY, "+1500")),
        (blazegraph("+8848.86", "decimal"), Value(ValueKind.QUANTITY, "+8848.86")),
        ({"xml:lang": "fr", "type": "literal", "value": "Paris"}, Value(ValueKind.MONOLINGUAL, "Paris", "fr")),
    ],
)
def test_values_in_an_engines_own_form(value: dict[str, str], expected: Value) -> None:
    assert read(answer({"value": value})).value == expected


def test_unknown_values_are_blank_nodes_or_iris() -> None:
    for value in ({"type": "bnode", "value": "bn12"}, uri("http://www.wikidata.org/.well-known/genid/ab")):
        assert read(answer({"value": value}, integer="integer")).value is None


def test_short_years_of_qualifiers() -> None:
    start = qlever("-043-03-13T00:00:00Z", "dateTime")
    part = {"value": uri(f"{WD}Q5"), "start": start, "startTime": start, "startPrecision": qlever("9", "int")}
    assert read(answer(part)).start == TimePoint("-0043-03-13T00:00:00Z", 9)


def test_how_they_say_that_a_query_is_too_much() -> None:
    told = {
        b'{"exception":"Operation timed out.","status":"ERROR"}': QueryTimeout,
        b'{"exception":"Tried to allocate 7 GB, but only 5 GB were available","status":"ERROR"}': TooLarge,
        b"java.util.concurrent.TimeoutException\n\tat java.util.concurrent.FutureTask.get": QueryTimeout,
    }
    for body, error in told.items():
        with pytest.raises(error):
            parse(Response(500, {"content-type": "application/json"}, body), "e", None)
