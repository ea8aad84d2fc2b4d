"""A proxy before the SPARQL server: it passes most requests on, answers some with a fault, and can go away."""

from __future__ import annotations

import http.client
import random
import socket
import threading
from collections import Counter
from urllib.parse import quote

from tests.support import scripted_server as on
from tests.support.scripted_server import Act, ScriptedServer

BLAZEGRAPH = b"SPARQL-QUERY: queryStr=SELECT\njava.util.concurrent.TimeoutException\n\tat java.base/FutureTask.get"
HALF = on.results(on.GOOD_ROW)[:60]
FAULTS: dict[str, Act] = {
    "429 without a time": on.http(429, b"slow down", kind="text/plain"),
    "429 with a time": on.http(429, b"slow down", kind="text/plain", Retry_After="1"),
    "500 that is no timeout": on.http(500, b"java.lang.NullPointerException", kind="text/plain"),
    "500 with a query timeout": on.http(500, BLAZEGRAPH, kind="text/plain"),
    "502 bad gateway": on.http(502, b"<html><body>upstream</body></html>", kind="text/html"),
    "503 unavailable": on.http(503, b"maintenance", kind="text/plain"),
    "connection reset": on.reset(),
    "closed without a word": on.raw(b""),
    "not HTTP": on.raw(b"SSH-2.0-OpenSSH_9.6\r\n"),
    "body shorter than promised": on.cut(HALF),
    "chunk shorter than promised": on.cut_chunk(HALF),
    "JSON cut by the end of the connection": on.unbounded(HALF),
    "empty body": on.http(200, b""),
    "error text inside the JSON": on.http(200, HALF + b"java.lang.RuntimeException: out of memory"),
    "HTML with status 200": on.http(200, b"<html><h1>Welcome to nginx</h1></html>", kind="text/html"),
    "silence": on.hang(),
}


class Proxy(ScriptedServer):
    """Passes requests on to ``port``, except for ``share`` of them, which meet a fault.

    While ``down`` is set, all connections are reset.
    """

    def __init__(self, port: int, *, share: float, seed: int) -> None:
        super().__init__()
        self.down = threading.Event()
        self.share = share
        self.asked = 0
        self.met: Counter[str] = Counter()
        self._port, self._draw, self._lock = port, random.Random(seed), threading.Lock()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = on._read(connection)
                if request is None:
                    return
                fault = self._fault()
                if fault is None:
                    self._pass_on(request.query, connection)
                else:
                    FAULTS[fault](connection, self._ended)
            except (OSError, http.client.HTTPException):
                return

    def _fault(self) -> str | None:
        with self._lock:
            self.asked += 1
            if self.down.is_set():
                fault = "connection reset"
            elif self._draw.random() < self.share:
                fault = self._draw.choice(sorted(FAULTS))
            else:
                return None
            self.met[fault] += 1
            return fault

    def _pass_on(self, query: str, connection: socket.socket) -> None:
        upstream = http.client.HTTPConnection("127.0.0.1", self._port, timeout=60)
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": on.JSON_TYPE}
        upstream.request("POST", "/query", f"query={quote(query)}", headers)
        answer = upstream.getresponse()
        body = answer.read()
        upstream.close()
        on.http(answer.status, body, kind=answer.getheader("Content-Type", on.JSON_TYPE))(connection, self._ended)
