"""A proxy in front of a real endpoint that misbehaves: at one request, or at every one from then on."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from collections.abc import Callable
from random import Random
from typing import Any

from tests.support import scripted_server as on
from tests.support.scripted_server import Act, Request, ScriptedServer

Fault = Callable[[bytes], Act]
"""The true answer's body → what is done instead of sending it."""

BLAZEGRAPH = b"SPARQL-QUERY: queryStr=SELECT\njava.util.concurrent.TimeoutException\n\tat java.base/FutureTask.get"


class LyingProxy(ScriptedServer):
    """Passes requests on to the endpoint ``upstream``, and its answers back, except where it lies."""

    def __init__(self, upstream: str) -> None:
        super().__init__(on.hang())
        self._upstream = upstream
        self.fault: Fault | None = None
        self.at = 0
        self.lasting = False

    def lie(self, fault: Fault, at: int, *, lasting: bool = False) -> None:
        """Count requests from now on: number ``at`` (from 0) gets ``fault``; with ``lasting``, all later ones do,
        too."""
        self.requests.clear()
        self.fault, self.at, self.lasting = fault, at, lasting

    def behave(self) -> None:
        self.fault = None

    @property
    def lied(self) -> bool:
        """Whether the fault's turn has come."""
        return self.fault is not None and len(self.requests) > self.at

    def next_act(self, request: Request) -> Act:
        number = len(self.requests)
        body = self._ask(request.query)
        chosen = self.fault if number == self.at or (self.lasting and number > self.at) else None
        return chosen(body) if chosen else on.http(200, body)

    def _ask(self, query: str) -> bytes:
        data = urllib.parse.urlencode({"query": query}).encode()
        asked = urllib.request.Request(self._upstream, data=data, headers={"Accept": on.JSON_TYPE})
        with urllib.request.urlopen(asked, timeout=30) as response:
            return bytes(response.read())


def always(act: Act) -> Fault:
    return lambda _: act


def rows(change: Callable[[list[Any]], list[Any]]) -> Fault:
    """The true answer with other rows."""

    def fault(body: bytes) -> Act:
        document = json.loads(body)
        document["results"]["bindings"] = change(document["results"]["bindings"])
        return on.http(200, json.dumps(document).encode())

    return fault


def shuffled(bindings: list[Any]) -> list[Any]:
    return Random(7).sample(bindings, len(bindings))


def half(body: bytes) -> bytes:
    return body[: len(body) // 2]


FAULTS: dict[str, Fault] = {
    "connection reset": always(on.reset()),
    "closed without a word": always(on.raw(b"")),
    "not HTTP at all": always(on.raw(b"SSH-2.0-OpenSSH_9.6\r\n")),
    "429 with Retry-After in seconds": always(on.http(429, b"slow down", kind="text/plain", Retry_After="30")),
    "429 with Retry-After as a date": always(
        on.http(429, Date="Sun, 01 Mar 2026 11:00:00 GMT", Retry_After="Sun, 01 Mar 2026 11:00:30 GMT")
    ),
    "429 without a time": always(on.http(429)),
    "429 with a pause too long to wait": always(on.http(429, Retry_After="3600")),
    "500 that is no timeout": always(on.http(500, b"java.lang.NullPointerException", kind="text/plain")),
    "500 that is a query timeout": always(on.http(500, BLAZEGRAPH, kind="text/plain")),
    "502 from a gateway": always(on.http(502, b"<html>upstream</html>", kind="text/html")),
    "503 unavailable": always(on.http(503, b"maintenance", kind="text/plain")),
    "504 from a gateway": always(on.http(504, b"<html>Gateway Time-out</html>", kind="text/html")),
    "403 ban": always(on.http(403, b"You have been banned until 2026-03-01T18:30:00Z, please", kind="text/plain")),
    "400 refusal": always(on.http(400, b"Lexical error at line 3", kind="text/plain")),
    "redirect": always(on.http(302, Location="http://127.0.0.1:9/login")),
    "body shorter than promised": lambda body: on.cut(half(body)),
    "chunk shorter than promised": lambda body: on.cut_chunk(half(body)),
    "body cut by the end of the connection": lambda body: on.unbounded(half(body)),
    "empty body": always(on.http(200, b"")),
    "timeout text inside the JSON": lambda body: on.http(200, half(body) + BLAZEGRAPH),
    "error text inside the JSON": lambda body: on.http(200, half(body) + b"java.lang.OutOfMemoryError"),
    "JSON error with status 200": always(on.http(200, b'{"exception": "something else"}')),
    "HTML with status 200": always(on.http(200, b"<html><h1>Welcome</h1></html>", kind="text/html")),
    "plain text with status 200": always(on.http(200, b"Please set a user agent", kind="text/plain")),
    "right body of the wrong type": lambda body: on.http(200, body, kind="text/xml"),
    "bytes that are not UTF-8": lambda body: on.http(200, body.replace(b"value", b"val\xff\xfe", 1)),
    "slow drip": on.drip_body,
    "silence": always(on.hang()),
    "more bytes than are read": lambda body: on.http(200, body + b" " * 200_000),
    "rows twice": rows(lambda bindings: bindings + bindings),
    "rows in another order": rows(shuffled),
    "no rows where there were some": rows(lambda _: []),
}
"""Name → fault. The last three are well-formed answers: their form does not show that they are wrong."""
