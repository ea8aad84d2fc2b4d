"""A local event stream that behaves like EventStreams, for the benchmark and for tests."""

from __future__ import annotations

import json
import threading
import time
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from kbsync.wikidata.local import HOST

_LOOK_SECONDS = 0.5


class LocalStream:
    """A context manager: it serves inside the ``with`` block, in threads of this process.

    ``push`` sends an event to every open connection. A connection begins at ``since``, or after ``Last-Event-ID``.

    Args:
        events: What happened before.
        line_seconds: A connection ends after this time; the public service ends each after 900.
    """

    def __init__(self, events: list[dict[str, Any]] | None = None, *, line_seconds: float = 900.0) -> None:
        self.events = events if events is not None else []
        self.line_seconds = line_seconds
        self.requests: list[dict[str, str]] = []
        self._more = threading.Condition()
        self._ended = False

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    outer.serve(self)
                except OSError:  # the listener went away
                    return

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._more:
            self._ended = True
            self._more.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._server.server_address[1]}/v2/stream/recentchange"

    def push(self, *events: dict[str, Any]) -> None:
        """Send these events now, in this order."""
        with self._more:
            self.events += events
            self._more.notify_all()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        """One connection, from its request to its end. Raises ``OSError`` where the listener is gone."""
        query, headers = parse_qs(urlsplit(request.path).query), {k.lower(): v for k, v in request.headers.items()}
        self.requests.append({"since": query["since"][0]} | headers)
        self.begin(request)
        resumed = headers.get("last-event-id")
        start = int(json.loads(resumed)[0]["offset"]) + 1 if resumed else 0
        since = None if resumed else datetime.fromisoformat(query["since"][0])
        sent, end = 0, time.monotonic() + self.line_seconds
        while not self._ended and time.monotonic() < end:
            for number, told in enumerate(self.events[start:], start):
                if self.tells(told, since):
                    self.send(request, number, told, sent)
                    sent += 1
                start = number + 1
            with self._more:
                if len(self.events) <= start and not self._ended:
                    self._more.wait(_LOOK_SECONDS)

    def begin(self, request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Type", "text/event-stream")
        request.end_headers()
        request.wfile.write(b":ok\n\n")

    def tells(self, event: dict[str, Any], since: datetime | None) -> bool:
        """Whether a connection that begins at ``since`` (None: after an event) sends this event."""
        return since is None or datetime.fromisoformat(event["meta"]["dt"]) >= since

    def send(self, request: BaseHTTPRequestHandler, number: int, event: dict[str, Any], sent: int) -> None:
        """Write the event with its number as the id, after ``sent`` others on this connection."""
        offset = json.dumps([{"topic": "recentchange", "partition": 0, "offset": number}])
        request.wfile.write(f"event: message\nid: {offset}\ndata: {json.dumps(event)}\n\n".encode())


def edit(at: datetime, title: str, *, number: int, revision: int, wiki: str = "wikidatawiki") -> dict[str, Any]:
    """An edit as ``mediawiki.recentchange`` reports it, with the fields that kbsync reads."""
    return {
        "meta": {"id": f"event-{number}", "dt": at.isoformat(), "domain": "www.wikidata.org"},
        "wiki": wiki,
        "namespace": 0,
        "type": "edit",
        "title": title,
        "revision": {"old": revision - 1, "new": revision},
    }
