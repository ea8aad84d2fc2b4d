"""An event stream on loopback that speaks server-sent events over real HTTP, and misbehaves on demand."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


def event(at: datetime, title: str, *, number: int = 0, **more: Any) -> dict[str, Any]:
    """A recent change as the stream tells it."""
    return {
        "meta": {"id": f"event-{number}-{title}", "dt": at.isoformat(), "domain": "www.wikidata.org"},
        "wiki": "wikidatawiki",
        "namespace": 0,
        "type": "edit",
        "title": title,
        "revision": {"old": number, "new": number + 1},
    } | more


@dataclass
class StreamServer:
    """Use as a context manager. ``events`` is all there is, in order; ``oldest`` is what the server still keeps.

    ``cut_after``: the line breaks after so many events; ``refuse``: a status instead of a stream; ``kind``: its media
    type; ``silent``: nothing is ever sent; ``garble``: text in an event's place.
    """

    events: list[dict[str, Any]] = field(default_factory=list)
    oldest: datetime | None = None
    cut_after: int | None = None
    refuse: int | None = None
    kind: str = "text/event-stream"
    silent: bool = False
    garble: str = ""
    requests: list[dict[str, str]] = field(default_factory=list)

    def __enter__(self) -> StreamServer:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer._serve(self)

            def log_message(self, *_: object) -> None: ...

        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v2/stream/recentchange"

    def _serve(self, request: BaseHTTPRequestHandler) -> None:
        since = parse_qs(urlsplit(request.path).query)["since"][0]
        self.requests.append({"since": since} | {k.lower(): v for k, v in request.headers.items()})
        if self.refuse is not None:
            request.send_response(self.refuse)
            request.send_header("Retry-After", "600")
            request.end_headers()
            return
        request.send_response(200)
        request.send_header("Content-Type", self.kind)
        request.end_headers()
        request.wfile.write(b":ok\n\n")
        try:
            self._tell(request, since)
            self._ended.wait(5)
        except OSError:
            return

    def _tell(self, request: BaseHTTPRequestHandler, since: str) -> None:
        if self.silent:
            self._ended.wait(5)
        resumed = request.headers.get("Last-Event-ID")
        start = int(json.loads(resumed)[0]["offset"]) + 1 if resumed else 0
        begin = datetime.fromisoformat(since)
        sent = 0
        for number, told in enumerate(self.events):
            at = datetime.fromisoformat(told["meta"]["dt"])
            if number < start or (not resumed and at < begin) or (self.oldest and at < self.oldest):
                continue
            if self.cut_after is not None and sent == self.cut_after:
                request.wfile.write(b"event: message\nid: half an ev")
                request.connection.close()
                raise OSError
            data = self.garble or json.dumps(told)
            offset = json.dumps([{"topic": "recentchange", "partition": 0, "offset": number}])
            request.wfile.write(f"event: message\nid: {offset}\ndata: {data}\n\n".encode())
            sent += 1


def every_ten_seconds(begin: datetime, count: int) -> list[dict[str, Any]]:
    """Edits of Q1, Q2, ... ten seconds apart."""
    return [event(begin + timedelta(seconds=10 * n), f"Q{n + 1}", number=n) for n in range(count)]
