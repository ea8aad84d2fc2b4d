"""Answers drawn from a grammar of broken ones: each ends as rows or as an error of kbsync, and costs bounded memory."""

from __future__ import annotations

import random
import time
import tracemalloc
from typing import Any

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.ports.work import Work
from kbsync.wikidata import answers
from kbsync.wikidata.answers import parse
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.responses import QueryTimeout, Response, TooLarge, Transient
from kbsync.wikidata.source import WikidataSource
from tests.support import scripted_server as on
from tests.support.broken_answers import JSON, broken_answer
from tests.support.fuzzing import PATTERN, fuzz
from tests.support.scripted_server import Act, Request, ScriptedServer

HEADERS = {"content-type": JSON}


def test_no_broken_answer_ends_as_a_bug() -> None:
    outcome = fuzz(400, seed=7, pulls=8)
    assert outcome.untyped == []
    assert outcome.cases == 400
    assert outcome.taken > 20
    assert {"SourceError", "SourceDown", "Broken"} <= outcome.refused.keys()


def test_a_case_is_drawn_from_its_number_alone() -> None:
    document = '{"head":{"vars":["a"]},"results":{"bindings":[{"a":{"type":"uri","value":"x"}}]}}'
    drawn = [broken_answer(answers.json.loads(document), random.Random(number)) for number in (1, 2, 1)]
    assert drawn[0] == drawn[2] != drawn[1]


@pytest.mark.parametrize(
    "body",
    [b"[" * 200_000, b'{"a":' * 100_000, b'{"head":' + b"9" * 5_000 + b"}", b"\xff\xfe[", b'"\xed\xa0\x80"'],
    ids=["lists in lists", "objects in objects", "a number without an end", "half a mark", "half a character"],
)
def test_json_that_breaks_parsers_is_a_damaged_answer(body: bytes) -> None:
    with pytest.raises(Transient):
        parse(Response(200, HEADERS, body), "e", None)


def test_many_small_rows_are_refused_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_ROWS", 10_000)
    one = b'{"a":{"type":"uri","value":""}}'
    body = b'{"results":{"bindings":[' + b",".join([one] * 60_000) + b"]}}"
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match="more than 10000 rows"):
            parse(Response(200, HEADERS, body), "e", None)
        assert tracemalloc.get_traced_memory()[1] < 6 * len(body)
    finally:
        tracemalloc.stop()


def test_many_terms_in_few_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "MAX_TERMS", 100)
    row = ",".join(f'"v{n}":{{"type":"literal","value":"x"}}' for n in range(101))
    with pytest.raises(TooLarge, match="more than 100 terms"):
        parse(Response(200, HEADERS, f'{{"results":{{"bindings":[{{{row}}}]}}}}'.encode()), "e", None)


class Endless(ScriptedServer):
    """Finds one more member of a pattern for every page that is asked for."""

    def next_act(self, request: Request) -> Act:
        row: dict[str, Any] = {
            "item": {"type": "uri", "value": f"http://www.wikidata.org/entity/Q1{len(self.requests):09}"}
        }
        return on.good(row)


def test_a_pattern_without_an_end_ends_at_the_deadline() -> None:
    with Endless() as server:
        source = WikidataSource(SparqlClient(server.endpoint, "tests@example.org", timeout=3, deadline=3))
        begun = time.monotonic()
        with pytest.raises(QueryTimeout, match="ever more members"):
            source.subjects(PATTERN)
        assert time.monotonic() - begun < 20


class Stop(Exception):
    pass


def test_a_pattern_without_an_end_hears_a_stop() -> None:
    asked = 0

    def stop() -> None:
        nonlocal asked
        asked += 1
        if asked > 3:
            raise Stop

    with Endless() as server:
        client = SparqlClient(server.endpoint, "tests@example.org", check=Work(checks=[stop]).checkpoint)
        with pytest.raises(Stop):
            WikidataSource(client).subjects(PATTERN)


@pytest.mark.parametrize("act", [on.hang(), on.drip(b"HTTP/1.1 200 OK\r\n")], ids=["silence", "a drip"])
def test_a_stop_is_heard_while_an_answer_is_waited_for(act: Act) -> None:
    begun = time.monotonic()

    def stop() -> None:
        if time.monotonic() - begun > 0.2:
            raise Stop

    with ScriptedServer(act) as server, pytest.raises(Stop):
        SparqlClient(server.endpoint, "tests@example.org", check=stop).select("SELECT ?x WHERE { ?x ?y ?z }")
    assert time.monotonic() - begun < 5


def test_a_stop_is_heard_while_a_pause_is_waited_for() -> None:
    def stop() -> None:
        if slept:
            raise Stop

    slept: list[float] = []
    with ScriptedServer(on.http(429, Retry_After="300")) as server, pytest.raises(Stop):
        client = SparqlClient(server.endpoint, "tests@example.org", check=stop, sleep=slept.append)
        client.select("SELECT ?x WHERE { ?x ?y ?z }")
    assert sum(slept) < 1


ROW = {"n": {"type": "literal", "value": "1"}}


def test_a_row_cap_that_a_header_tells_is_noticed() -> None:
    for name in ("X_SPARQL_MaxRows", "X_SQL_State"):
        with ScriptedServer(on.http(200, on.results(ROW), **{name: "1"})) as server, pytest.raises(TooLarge):
            SparqlClient(server.endpoint, "tests@example.org").select("SELECT ?n WHERE { ?n ?y ?z }")


QUERYS_OWN = {
    "Virtuoso": b"Virtuoso 42000 Error SQ186: Over 20 keys in group by or hash join",
    "Virtuoso's syntax": b"Virtuoso 37000 Error SP030: SPARQL compiler, line 2: syntax error at '}'",
    "Blazegraph": b"org.openrdf.query.MalformedQueryException: Encountered ...",
    "QLever": b'{"exception": "Parse error at line 1:8", "status": "ERROR"}',
}


@pytest.mark.parametrize("engine", QUERYS_OWN)
def test_a_mistake_of_the_query_is_final_whatever_the_status(engine: str) -> None:
    with ScriptedServer(on.http(500, QUERYS_OWN[engine], kind="text/plain")) as server:
        client = SparqlClient(server.endpoint, "tests@example.org", sleep=lambda _: pytest.fail("asked again"))
        with pytest.raises(SourceError, match="can't run the query") as caught:
            client.select("SELECT ?x WHERE { ?x ?y ?z }")
        assert len(server.requests) == 1
    assert not isinstance(caught.value, SourceDown)
    assert "overload" not in str(caught.value)


def test_a_query_that_needs_too_much_may_be_asked_in_parts() -> None:
    body = b'{"exception": "Tried to allocate 5 GB, but only 4 GB were available."}'
    with ScriptedServer(on.http(500, body)) as server, pytest.raises(TooLarge):
        SparqlClient(server.endpoint, "tests@example.org").select("SELECT ?x WHERE { ?x ?y ?z }")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_marks_are_understood(encoding: str) -> None:
    body = on.results(ROW).decode().encode(encoding)
    (row,) = parse(Response(200, HEADERS, body), "e", None)
    assert row["n"].text == "1"
