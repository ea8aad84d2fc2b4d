"""Connections that ask for nothing are closed, and keep nobody out."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from kbsync.config import WebSettings
from kbsync.web import patience
from kbsync.web.backend import Backend
from kbsync.web.server import serving

pytestmark = pytest.mark.hardening

HALF = (b"", b"GET / HT", b"POST /login HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\ntok")
"""What a request may stop after."""


@pytest.fixture
def port(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(patience, "MOST_OPEN", 12)
    with serving(backend, WebSettings.model_validate({"port": 0, "token": "a token for these tests"})) as address:
        yield int(address.rsplit(":", 1)[1].strip("/"))


def connect(port: int, said: bytes = b"") -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=10)
    connection.sendall(said)
    return connection


def health(port: int) -> tuple[bytes, float]:
    """The answer's first line, and the seconds that it took."""
    began = time.monotonic()
    with connect(port, b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n") as connection:
        line = connection.recv(100).split(b"\r\n")[0]
    return line, time.monotonic() - began


def closed(connection: socket.socket) -> bool:
    """Whether the other side has closed the connection, or does so soon."""
    connection.settimeout(5)
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True
    except TimeoutError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("said", HALF)
def test_health_answers_beside_many_that_ask_for_nothing(port: int, said: bytes) -> None:
    held = [connect(port, said) for _ in range(60)]
    line, seconds = health(port)
    assert line == b"HTTP/1.1 200 OK" and seconds < 1
    assert closed(held[0]), "the one that was idle longest made room"
    for connection in held:
        connection.close()


@pytest.mark.slow
@pytest.mark.parametrize("said", HALF)
def test_whoever_asks_for_nothing_is_closed_in_time(
    backend: Backend, port: int, said: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.3)
    with connect(port, said) as connection:
        assert closed(connection)


@pytest.mark.slow
def test_whoever_asks_now_and_then_is_not_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_SECONDS", 0.4)
    with connect(port) as connection:
        for _ in range(4):
            time.sleep(0.2)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            answer = b""
            while not answer.endswith(b"ok\n"):
                piece = connection.recv(1000)
                assert piece, answer
                answer += piece


@pytest.mark.slow
def test_guesses_that_are_held_back_keep_nobody_out(port: int) -> None:
    guess = b"POST /rollback HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer x\r\nContent-Length: 4\r\n\r\nto=0"
    held = [connect(port, guess) for _ in range(40)]
    line, seconds = health(port)
    assert line == b"HTTP/1.1 200 OK" and seconds < 1
    for connection in held:
        connection.close()
