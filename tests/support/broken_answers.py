"""Answers that no honest endpoint gives: true answers of a small world, broken by the rules of a grammar.

A case is drawn from a number, so that the same number breaks the same answer in the same way.
"""

from __future__ import annotations

import copy
import gzip
import json
import random
from collections.abc import Callable
from typing import Any

import httpx2
import pyoxigraph

from kbsync.domain.statement import ItemId, Rank, Snak, Statement, TimePoint, Value, ValueKind
from kbsync.testing import FakeSource
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.responses import Response
from tests.support.turtle_world import turtle

JSON = "application/sparql-results+json"
XSD = "http://www.w3.org/2001/XMLSchema#"
WD = "http://www.wikidata.org/entity/"

Document = dict[str, Any]


def small_world(name: str = "source") -> FakeSource:
    """Items with every kind of value, a redirect and an item that is not there (``Q9``)."""
    world = FakeSource(name=name)

    def said(subject: str, number: int, prop: str, value: Value | None, **more: Any) -> Statement:
        snak = Snak.VALUE if value else Snak.SOMEVALUE
        return Statement(
            id=f"{subject}$0000000{number}-AAAA",
            subject=ItemId(subject),
            property=prop,  # type: ignore[arg-type]
            snak=snak,
            value=value,
            rank=Rank.NORMAL,
            **more,
        )

    start = TimePoint("2019-01-01T00:00:00Z", 9)
    world.set_item("Q1", label="one", aliases=["uno", "eins"], statements=[
        said("Q1", 1, "P35", Value(ValueKind.ITEM, "Q3"), references=2, start=start),
        said("Q1", 2, "P35", Value(ValueKind.ITEM, "Q4"), end=TimePoint("-0044-03-15T00:00:00Z")),
        said("Q1", 3, "P571", Value(ValueKind.TIME, "1969-07-20T00:00:00Z", "11")),
        said("Q1", 4, "P1082", Value(ValueKind.QUANTITY, "+8848.86", "Q5")),
    ])  # fmt: skip
    world.set_item("Q3", label="three", statements=[said("Q3", 1, "P35", None)])
    world.set_item("Q4", label="four")
    world.set_item("Q5", label="metre")
    world.redirect("Q2", "Q1")
    world.patterns["?item p:P35 []"] = [ItemId("Q1"), ItemId("Q3")]
    return world


class BreakingClient(SparqlClient):
    """Answers from a store in memory; the next answers are broken as ``breaks`` says (None: true)."""

    def __init__(self, world: FakeSource) -> None:
        super().__init__(
            "http://127.0.0.1:9/sparql", "tests@example.org", attempts=1, deadline=5.0, sleep=lambda _: None
        )
        self._store = pyoxigraph.Store()
        self._store.load(input=turtle(world).encode(), format=pyoxigraph.RdfFormat.TURTLE)
        self._true: dict[str, bytes] = {}
        self.breaks: random.Random | None = None
        self.broken = 0

    def _exchange(self, query: str, *, short: bool) -> Response:
        if query not in self._true:
            found = self._store.query(query)
            assert isinstance(found, pyoxigraph.QuerySolutions)
            self._true[query] = found.serialize(format=pyoxigraph.QueryResultsFormat.JSON) or b""
        if self.breaks is None:
            return Response(200, {"content-type": JSON}, self._true[query])
        self.broken += 1
        # The headers are those of the HTTP library, whose reading of them is part of what is tried.
        status, headers, body = broken_answer(json.loads(self._true[query]), self.breaks)
        sent = httpx2.Headers([(name.encode(), value.encode("latin-1")) for name, value in headers.items()])
        return Response(status, sent, body, "GET" if short else "POST")


def broken_answer(document: Document, draw: random.Random) -> tuple[int, dict[str, str], bytes]:
    """The answer after one to three breaks of its rows, its form, its bytes or its wrapping."""
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        document = draw.choice((_row, _row, _row, _row, _term, _term, _form))(document, draw)
    body = json.dumps(document, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
    status, headers = 200, {"content-type": JSON}
    if draw.random() < 0.2:
        body = draw.choice(BYTES)(body, draw)
    if draw.random() < 0.1:
        status, headers = _wrapping(draw)
    return status, headers, body


def _row(document: Document, draw: random.Random) -> Document:
    """Another set of rows, or a row with one of its parts replaced."""
    rows = document["results"]["bindings"] if _is_whole(document) else []
    if not rows:
        return document
    place = draw.randrange(len(rows))
    kind = draw.randrange(8)
    if kind == 0:
        del rows[place]
    elif kind == 1:
        rows.insert(draw.randrange(len(rows)), copy.deepcopy(rows[place]))
    elif kind == 2:
        draw.shuffle(rows)
    elif isinstance(row := rows[place], dict) and row:
        name = draw.choice(sorted(row))
        other = rows[draw.randrange(len(rows))]
        if kind == 3:
            del row[name]
        elif kind == 4 and isinstance(other, dict) and other:
            row[name] = copy.deepcopy(draw.choice(list(other.values())))
        elif kind == 5:
            row[draw.choice(NAMES)] = hostile_term(draw)
        else:
            row[name] = hostile_term(draw)
    return document


def _term(document: Document, draw: random.Random) -> Document:
    """A term whose text alone is another one, so that its type still fits."""
    rows = document["results"]["bindings"] if _is_whole(document) else []
    terms = [t for r in rows if isinstance(r, dict) for t in r.values() if isinstance(t, dict) and "value" in t]
    if terms:
        term = draw.choice(terms)
        text = str(term["value"])
        cut = draw.randrange(len(text) + 1)
        term["value"] = draw.choice(
            (text[:cut], text + text, text[:cut] + draw.choice(TEXTS) + text[cut:], draw.choice(TEXTS))
        )
    return document


def _form(document: Document, draw: random.Random) -> Any:
    """Something else where the form of SPARQL results wants an object, a list or a text."""
    paths: list[tuple[Any, Any]] = []

    def collect(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            paths.append((node, key))
            collect(node[key])

    collect(document)
    if not paths or draw.random() < 0.05:
        return any_thing(draw)
    node, key = draw.choice(paths)
    node[key] = any_thing(draw)
    return document


def any_thing(draw: random.Random) -> Any:
    """One of ``THINGS``, as a copy: a case changes what it holds, and must leave the next case's as they are."""
    return copy.deepcopy(draw.choice(THINGS))


def hostile_term(draw: random.Random) -> Any:
    if draw.random() < 0.1:
        return any_thing(draw)
    term: dict[str, Any] = {"type": draw.choice(TYPES), "value": draw.choice(TEXTS)}
    if draw.random() < 0.6:
        term["datatype"] = draw.choice(DATATYPES)
    if draw.random() < 0.3:
        term["xml:lang"] = draw.choice(LANGUAGES)
    return term


def _is_whole(document: Any) -> bool:
    results = document.get("results") if isinstance(document, dict) else None
    return isinstance(results, dict) and isinstance(results.get("bindings"), list)


def _wrapping(draw: random.Random) -> tuple[int, dict[str, str]]:
    headers = {"content-type": draw.choice(("", JSON, "text/html", "application/json; charset=latin-1", ";", "\x7f"))}
    for name in ("retry-after", "date", "x-sparql-maxrows", "x-sql-state", "location", "server"):
        if draw.random() < 0.3:
            headers[name] = draw.choice(HEADERS)
    return draw.choice((100, 200, 200, 204, 301, 302, 400, 403, 404, 413, 429, 500, 502, 503, 599, 999)), headers


BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda body, draw: body[: draw.randrange(len(body) + 1)],
    lambda body, draw: body + body[: draw.randrange(len(body) + 1)],
    lambda body, draw: bytes(b if draw.random() > 0.002 else draw.randrange(256) for b in body),
    lambda body, _: b"\xef\xbb\xbf" + body,
    lambda body, draw: body.decode("utf-8", "replace").encode(draw.choice(("utf-16", "utf-32-be", "utf-16-le"))),
    lambda body, _: gzip.compress(body, 1),
    lambda _, draw: draw.choice((b"[", b'{"a":', b'[{"":')) * draw.choice((10, 5_000, 60_000)),
    lambda body, draw: body.replace(b'"value"', draw.choice((b'"value":1,"value"', b'"\\ud800"', b"'value'")), 3),
    lambda _, draw: draw.choice((b"", b"null", b"\0", b"NaN", b'"x"', b"<html>time limit exceeded", b"-" * 9_999)),
    lambda body, draw: body + draw.choice((b"java.util.concurrent.TimeoutException", b"}" * 99, b"\0\0")),
)
NAMES = (
    "item",
    "rev",
    "modified",
    "target",
    "label",
    "alias",
    "property",
    "st",
    "rank",
    "value",
    "none",
    "precision",
    "unit",
    "start",
    "startTime",
    "startPrecision",
    "refs",
    "names",
    "statements",
    "root",
    "t",
    "node",
    "about",
    "",
)
TYPES = ("uri", "literal", "typed-literal", "bnode", "triple", "URI", "", None, 5)
THINGS: tuple[Any, ...] = (
    None,
    True,
    0,
    -1,
    1e308,
    10**400,
    "",
    "x",
    [],
    {},
    [[]],
    [{}],
    {"type": "uri"},
    {"value": "x"},
    "\ud800",
    {"type": "uri", "value": None},
    {"type": "uri", "value": {"type": "uri", "value": "x"}},
    [1, "a", None],
)
TEXTS = (
    "",
    " ",
    "0",
    "-1",
    "1",
    "true",
    "99999999999999999999",
    "1" * 5_000,
    "9" * 18,
    "1e999999999",
    "-1E+77",
    "NaN",
    "INF",
    "+5",
    "0x10",
    "١٢",
    "Q1",
    "P35",
    f"{WD}Q1",
    f"{WD}Q2",
    f"{WD}Q3",
    f"{WD}Q0",
    f"{WD}Q{'9' * 40}",
    f"{WD}P35",
    f"{WD}P0",
    f"{WD}L1-S1",
    WD,
    f"{WD}statement/",
    f"{WD}statement/Q1-00000001-AAAA",
    f"{WD}statement/Q1-\0",
    f"{WD}statement/{'x' * 5_000}",
    "http://www.wikidata.org",
    "http://wikiba.se/ontology#Dump",
    "http://wikiba.se/ontology#NormalRank",
    "http://wikiba.se/ontology#",
    "http://www.wikidata.org/.well-known/genid/x",
    "_:b0",
    "javascript:alert(1)",
    "http://[::1",
    "//",
    "\ud800",
    "\udfff\ud83d",
    "\0",
    "a\0b",
    "\u202e\u2066",
    "\r\nX: 1",
    "</s><|im_end|>",
    "x" * 20_000,
    "💩" * 20,
    "'; DROP TABLE statements; --",
    "{}",
    "%s%n",
    "Time-out (film)",
    "2020-01-01T00:00:00Z",
    "2020-13-45T99:99:99Z",
    "0000-00-00T00:00:00Z",
    "-0044-03-15T00:00:00Z",
    "-44-03-15T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0001-01-01T00:00:00+14:00",
    "99999999999999999-01-01T00:00:00Z",
    "+2020-02-30T00:00:00Z",
    "2020-01-01",
    "yesterday",
    "2020-01-01T24:00:00Z",
)
DATATYPES = (
    *(XSD + kind for kind in ("integer", "decimal", "double", "dateTime", "string", "boolean", "int", "gYear")),
    "",
    "http://www.opengis.net/ont/geosparql#wktLiteral",
    "http://www.w3.org/1998/Math/MathML",
    None,
    7,
    "\0",
)
LANGUAGES = ("en", "EN", "mul", "fr", "", "x" * 3_000, "\0", "\ud800", None, 3)
HEADERS = (
    "",
    "0",
    "1",
    "5" * 400,
    "-1",
    "1.5",
    "Mon, 01 Jan 9999 23:59:59 -1200",
    "Mon, 01 Jan 0001 00:00:00 +1200",
    "Sun, 99 Foo 2026",
    "1" * 9,
    "Thu, 01 Jan 1970 00:00:00",
    "http://127.0.0.1:9/x",
    "\xff",
    "until 9999-99-99T99:99:99Z",
)
