"""What a refusal means, as a pure function of status, headers and body; tests/faults has the same over a real line."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kbsync.domain.errors import SourceError
from kbsync.wikidata.responses import (
    QueryTimeout,
    Response,
    TooLarge,
    Transient,
    interruption,
    refusal,
    retry_after,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def response(status: int = 200, body: bytes = b"", **headers: str) -> Response:
    return Response(status, {name.replace("_", "-"): value for name, value in headers.items()}, body)


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (400, b"Lexical error", SourceError),
        (401, b"", SourceError),
        (404, b"", SourceError),
        (302, b"", SourceError),
        (408, b"", QueryTimeout),
        (413, b"", TooLarge),
        (429, b"slow down", Transient),
        (429, b"the query timed out", QueryTimeout),
        (500, b"NullPointerException", Transient),
        (500, b"java.util.concurrent.TimeoutException", QueryTimeout),
        (503, b"", Transient),
        (504, b"", QueryTimeout),
    ],
)
def test_a_status_says_which_error_it_is(status: int, body: bytes, expected: type[Exception]) -> None:
    assert type(refusal(response(status, body), "http://endpoint", None)) is expected


def test_a_wait_that_the_endpoint_asks_for_makes_it_no_timeout() -> None:
    error = refusal(response(503, b"backend timed out"), "http://endpoint", 7.0)
    assert isinstance(error, Transient)
    assert error.retry_after == 7.0


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry_after": "120"}, 120.0),
        ({"retry_after": "Sun, 01 Mar 2026 12:00:40 GMT"}, 40.0),
        ({"retry_after": "Sun, 01 Mar 2026 11:01:30 GMT", "date": "Sun, 01 Mar 2026 11:00:00 GMT"}, 90.0),
        ({"retry_after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"retry_after": "soon"}, None),
        ({"retry_after": "-5"}, None),
        ({"retry_after": "1.5"}, None),
        ({"retry_after": "9" * 400}, None),
        ({}, None),
    ],
)
def test_how_long_the_endpoint_asks_us_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(response(429, b"", **headers), NOW) == seconds


def test_an_excerpt_is_one_short_line_without_markup() -> None:
    assert response(500, b"<b>a</b>\n\n b").excerpt == "a b"
    long = response(500, b"word " * 1000).excerpt
    assert len(long) == 201 and long.endswith("…")
    assert response(500, b"\xff").text == "�"


PATTERN = b"?item rdfs:label 'Time limit: out of memory, too big'"
"""What a query may hold: nothing of it is what an engine says."""


@pytest.mark.parametrize(
    "body",
    [
        b"SPARQL-QUERY: queryStr=SELECT ?item WHERE {" + PATTERN + b"}\n\njava.lang.NullPointerException\n\tat a.B",
        b'{"exception": "Assertion failed.", "query": "SELECT ?item {' + PATTERN + b'}", "status": "ERROR"}',
    ],
)
def test_a_query_that_is_repeated_is_not_what_the_engine_says(body: bytes) -> None:
    error = refusal(response(500, body), "http://endpoint", None)
    assert isinstance(error, Transient)
    assert "label" not in error.what
    assert any(words in error.what for words in ("NullPointerException", "Assertion failed"))


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"message": "Gateway Timeout", "code": 504}', "Gateway Timeout"),
        (b'{"exception": 5, "error": "e"}', "e"),
        (b'{"a": 1}', '{"a": 1}'),
        (b"[1]", "[1]"),
        (b"1" * 5_000, "1" * 5_000),
        (b"[" * 100_000, "[" * 100_000),
        (b"query\nnext line: com.example.Error", "query\nnext line: com.example.Error"),
        (
            b"query\ncom.bigdata.rwstore.sector.MemoryManagerError: x",
            "com.bigdata.rwstore.sector.MemoryManagerError: x",
        ),
    ],
)
def test_what_an_error_says(body: bytes, said: str) -> None:
    assert response(500, body).said == said


def test_words_by_which_rows_are_broken_off() -> None:
    for text, expected in (
        ("Operation timed out.", QueryTimeout),
        ("!TIMEDOUT!", QueryTimeout),
        ("Tried to allocate 7 GB, but only 5 GB were available", TooLarge),
        ("A very strange exception", type(None)),
    ):
        assert type(interruption(text, response(), "http://endpoint")) is expected
