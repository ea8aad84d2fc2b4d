"""What a response means, as a pure function of status, headers and body; tests/faults has the same over a real line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.wikidata.answers import Row, Term, parse
from kbsync.wikidata.responses import QueryTimeout, Response, TooLarge, Transient
from tests.support.wikidata_payloads import members, needs_real, sample

RESULTS = {"content-type": "application/sparql-results+json;charset=utf-8"}
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def response(status: int = 200, body: bytes = b"", **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def rows_of(body: bytes, headers: Mapping[str, str] = RESULTS) -> list[Row]:
    return parse(Response(200, headers, body), "http://endpoint", None)


def compare(body: bytes) -> int:
    """Read results, and compare the text of each term; returns the number of rows."""
    rows, bindings = rows_of(body), json.loads(body)["results"]["bindings"]
    assert [{name: term.text for name, term in row.items()} for row in rows] == [
        {name: term["value"] for name, term in binding.items()} for binding in bindings
    ]
    return len(rows)


def test_results_are_read_whole() -> None:
    body = sample("results.json").encode()
    assert compare(body) == 3
    first, second, third = rows_of(body)
    assert first["item"] == Term("uri", "http://www.wikidata.org/entity/Q64")
    assert first["label"] == Term("literal", 'Berlim "capital"\n', language="pt-br")
    assert first["count"] == Term("literal", "3", "http://www.w3.org/2001/XMLSchema#integer")
    assert second["item"] == Term("bnode", "t17")
    assert third == {}
    assert rows_of(body, {"content-type": "Application/JSON"}) == [first, second, third]


@needs_real
def test_real_results_are_read_whole() -> None:
    files = members("wdqs-sparql-results-json.tar.gz", ".json")
    assert len(files) == 56
    assert sum(map(compare, files.values())) > 500


@pytest.mark.parametrize(
    ("body", "expected", "final"),
    [
        (b'{"results": {"bindings": [', Transient, SourceDown),
        (b'{"results": {"bindings": [ java.util.concurrent.TimeoutException', QueryTimeout, None),
        (b'{"label": "time-out", "results": {"bind', Transient, SourceDown),
        (b'{"results": {"bindings": [ java.lang.OutOfMemoryError', TooLarge, None),
        (b'{"results": "\xff"}', Transient, SourceDown),
        (b"[]", Transient, SourceError),
        (b'{"exception": "Query timed out"}', QueryTimeout, None),
        (b'{"results": {"bindings": 7}}', Transient, SourceError),
        (b'{"results": {"bindings": [{"n": {"type": "triple", "value": {}}}]}}', Transient, SourceError),
    ],
)
def test_a_status_of_200_is_judged_by_its_content(
    body: bytes, expected: type[Exception], final: type[SourceError] | None
) -> None:
    with pytest.raises(expected) as caught:
        rows_of(body)
    assert getattr(caught.value, "final", None) is final


def test_another_media_type_is_no_result() -> None:
    with pytest.raises(Transient, match="text/html instead of SPARQL results: 'Welcome to nginx'"):
        rows_of(b"<html><h1>Welcome  to\n nginx</h1></html>", {"content-type": "text/html"})
    with pytest.raises(Transient, match="an unnamed type"):
        rows_of(b"{}", {})
    with pytest.raises(Transient, match="text/plain instead of SPARQL results"):
        rows_of(GOOD.encode(), {"content-type": "text/plain"})
    with pytest.raises(QueryTimeout):
        rows_of(b"<p>time limit exceeded</p>", {"content-type": "text/html"})


def test_a_row_that_binds_nothing_may_be_null() -> None:
    assert rows_of(b'{"results": {"bindings": [null, {"n": {"type": "literal", "value": "1"}}]}}')[0] == {}


def test_a_variable_that_is_not_bound_may_be_null() -> None:
    (row,) = rows_of(b'{"results": {"bindings": [{"a": null, "n": {"type": "literal", "value": "1"}}]}}')
    assert row == {"n": Term("literal", "1")}


@pytest.mark.parametrize("name", ["xml:lang", "lang"])
def test_the_language_of_a_literal_has_two_names(name: str) -> None:
    body = {"results": {"bindings": [{"n": {"type": "literal", "value": "Rom", name: "DE"}}]}}
    assert rows_of(json.dumps(body).encode()) == [{"n": Term("literal", "Rom", language="de")}]


GOOD = '{"results": {"bindings": [{"n": {"type": "literal", "value": "Zoë"}}]}}'


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("application/sparql-results+json", "utf-8-sig"),
        ('application/json; charset="iso-8859-1"', "latin-1"),
        ("application/json; charset=iso-8859-1", "utf-8"),
        ("application/json;charset=windows-1252;profile=x", "cp1252"),
        ("application/json", "utf-16"),
    ],
)
def test_the_bytes_say_their_encoding_or_else_the_header(content_type: str, encoding: str) -> None:
    assert rows_of(GOOD.encode(encoding), {"content-type": content_type}) == [{"n": Term("literal", "Zoë")}]


@pytest.mark.parametrize("content_type", ["application/json", "application/json; charset=nonsense"])
def test_bytes_that_are_no_text_are_refused(content_type: str) -> None:
    with pytest.raises(Transient, match="not Unicode at byte 64, packed as 'br'"):
        rows_of(GOOD.encode("latin-1"), {"content-type": content_type, "content-encoding": "br"})


def test_what_damages_an_answer_is_shown() -> None:
    with pytest.raises(Transient, match="damaged at character 26 of 33, before '!ERROR!'"):
        rows_of(b'{"results": {"bindings": [!ERROR!')
