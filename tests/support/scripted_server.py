"""A SPARQL endpoint that misbehaves on purpose: each request is answered by the next act of a script.

It speaks through a bare socket, because a web framework would not let it lie about lengths, drip or reset.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self
from urllib.parse import parse_qs, urlsplit

Act = Callable[[socket.socket, threading.Event], None]

JSON_TYPE = "application/sparql-results+json"
GOOD_ROW = {"n": {"type": "literal", "value": "42", "datatype": "http://www.w3.org/2001/XMLSchema#integer"}}


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    query: str


class ScriptedServer:
    """A context manager. Requests beyond the script's end are answered by its last act."""

    def __init__(self, *acts: Act) -> None:
        self.acts = list(acts)
        self.requests: list[Request] = []
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}/sparql"
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        self._start(self._listen)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(timeout=5)

    def next_act(self, request: Request) -> Act:
        """The act that answers this request."""
        return self.acts[min(len(self.requests), len(self.acts) - 1)]

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = threading.Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _listen(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            try:
                request = _read(connection)
                if request is None:
                    return
                act = self.next_act(request)
                self.requests.append(request)
                act(connection, self._ended)
            except OSError:
                return  # The client has gone, as many of these tests want it to.


def _read(connection: socket.socket) -> Request | None:
    data = b""
    while b"\r\n\r\n" not in data:
        chunk = connection.recv(65_536)
        if not chunk:
            return None
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    method, path, _ = first.split(" ", 2)
    asked = body.decode() if method == "POST" else urlsplit(path).query
    return Request(method, urlsplit(path).path, headers, parse_qs(asked).get("query", [""])[0])


def results(*rows: Mapping[str, object]) -> bytes:
    return json.dumps({"head": {"vars": ["n"]}, "results": {"bindings": list(rows)}}).encode()


def http(status: int, body: bytes = b"", *, kind: str = JSON_TYPE, **headers: str) -> Act:
    """A well-formed response; header names with ``_`` for ``-``."""

    def act(connection: socket.socket, _: threading.Event) -> None:
        extra = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.sendall(_head(status, {"Content-Type": kind, "Content-Length": str(len(body)), **extra}) + body)

    return act


def good(*rows: Mapping[str, object]) -> Act:
    return http(200, results(*(rows or (GOOD_ROW,))))


def cut(body: bytes, *, missing: int = 100) -> Act:
    """Promises ``missing`` bytes more than it sends."""
    return raw(_head(200, {"Content-Type": JSON_TYPE, "Content-Length": str(len(body) + missing)}) + body)


def cut_chunk(body: bytes) -> Act:
    """Ends in the middle of a chunk."""
    head = _head(200, {"Content-Type": JSON_TYPE, "Transfer-Encoding": "chunked"})
    return raw(head + f"{len(body) + 50:x}\r\n".encode() + body)


def unbounded(body: bytes) -> Act:
    """No length, no chunks: the end of the connection is the end of the body."""
    return raw(_head(200, {"Content-Type": JSON_TYPE}) + body)


def raw(data: bytes) -> Act:
    return lambda connection, _: connection.sendall(data)


def reset() -> Act:
    """Aborts the connection instead of closing it."""

    def act(connection: socket.socket, _: threading.Event) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    return act


def hang() -> Act:
    def act(_: socket.socket, ended: threading.Event) -> None:
        ended.wait(30)

    return act


def drip(data: bytes, *, pause: float = 0.05) -> Act:
    """Sends the data byte by byte, and then spaces, for as long as anybody listens."""

    def act(connection: socket.socket, ended: threading.Event) -> None:
        sent = 0
        while not ended.wait(pause):
            connection.sendall(data[sent : sent + 1] or b" ")
            sent += 1

    return act


def drip_headers() -> Act:
    return drip(b"HTTP/1.1 200 OK\r\n" + b"X-Slow: yes\r\n" * 1000)


def drip_body(body: bytes) -> Act:
    head = _head(200, {"Content-Type": JSON_TYPE})

    def act(connection: socket.socket, ended: threading.Event) -> None:
        connection.sendall(head)
        drip(body)(connection, ended)

    return act


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Scripted", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\nConnection: close\r\n\r\n").encode("latin-1")
