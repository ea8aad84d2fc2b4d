"""An event stream on loopback that speaks server-sent events over real HTTP, and misbehaves on demand."""

from __future__ import annotations

from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.local_stream import LocalStream, edit


def event(at: datetime, title: str, *, number: int = 0, revision: int = 0, **more: Any) -> dict[str, Any]:
    """A recent change as the stream reports it."""
    told = edit(at, title, number=number, revision=revision or number + 1)
    told["meta"]["id"] = f"event-{number}-{title}-{at.isoformat()}"
    return told | more


class StreamServer(LocalStream):
    """A context manager.

    Args:
        events: What happened before.
        oldest: The server keeps no event from before this time.
        cut_after: Number of events after which a connection breaks.
        refuse: A status that is sent instead of a stream.
        kind: The stream's media type.
        silent: Whether nothing is ever sent.
        garble: Text that is sent in the place of each event.
        line_seconds: A connection ends after this time.
    """

    def __init__(
        self,
        events: list[dict[str, Any]] | None = None,
        *,
        oldest: datetime | None = None,
        cut_after: int | None = None,
        refuse: int | None = None,
        kind: str = "text/event-stream",
        silent: bool = False,
        garble: str = "",
        line_seconds: float = 900.0,
    ) -> None:
        super().__init__(events, line_seconds=line_seconds)
        self.oldest, self.cut_after, self.refuse = oldest, cut_after, refuse
        self.kind, self.silent, self.garble = kind, silent, garble

    def begin(self, request: BaseHTTPRequestHandler) -> None:
        if self.refuse is not None:
            request.send_response(self.refuse)
            request.send_header("Retry-After", "600")
            request.end_headers()
            raise OSError
        request.send_response(200)
        request.send_header("Content-Type", self.kind)
        request.end_headers()
        request.wfile.write(b":ok\n\n")

    def tells(self, event: dict[str, Any], since: datetime | None) -> bool:
        at = datetime.fromisoformat(event["meta"]["dt"])
        return not self.silent and super().tells(event, since) and not (self.oldest and at < self.oldest)

    def send(self, request: BaseHTTPRequestHandler, number: int, event: dict[str, Any], sent: int) -> None:
        if self.cut_after is not None and sent == self.cut_after:
            request.wfile.write(b"event: message\nid: half an ev")
            request.connection.close()
            raise OSError
        if self.garble:
            request.wfile.write(f"data: {self.garble}\n\n".encode())
        else:
            super().send(request, number, event, sent)


def every_ten_seconds(begin: datetime, count: int) -> list[dict[str, Any]]:
    """Edits of Q1, Q2, ... ten seconds apart."""
    return [event(begin + timedelta(seconds=10 * n), f"Q{n + 1}", number=n) for n in range(count)]
