"""The switch before llama.cpp: nobody who says nothing, or too much, keeps others out."""

from __future__ import annotations

import contextlib
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from kbsync.notifiers.llama import DIRECTORY, UPSTREAM
from kbsync.web import patience, switch
from kbsync.web.switch import switching

pytestmark = pytest.mark.hardening


@pytest.fixture
def address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(patience, "MOST_OPEN", 12)
    monkeypatch.setattr(switch, "MOST_BYTES", 1_000)
    with switching(tmp_path, "127.0.0.1", 0) as url:
        yield url


def asked(address: str, body: bytes | None = None) -> int:
    """The status of an answer."""
    try:
        with urlopen(Request(f"{address}/v1/completions", data=body), timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


@pytest.mark.slow
def test_it_answers_beside_many_connections_that_say_nothing(address: str) -> None:
    port = int(address.rsplit(":", 1)[1])
    silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(60)]
    assert asked(address) == 503
    assert silent[0].recv(1) == b"", "the one that was idle longest made room"
    for connection in silent:
        connection.close()


@pytest.mark.slow
def test_a_request_that_is_too_long_is_refused(address: str) -> None:
    assert asked(address, b"x" * 1_000) == 503
    assert asked(address, b"x" * 1_001) == 413


@pytest.fixture
def model(tmp_path: Path) -> Iterator[list[bytes]]:
    """A process that the switch forwards to: it notes what it reads, and answers."""
    heard: list[bytes] = []

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with connection:
                    heard.append(connection.recv(65_536))
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        (tmp_path / DIRECTORY).mkdir()
        told = {"port": listener.getsockname()[1], "version": 1, "delivery": "x"}
        (tmp_path / DIRECTORY / UPSTREAM).write_text(json.dumps(told))
        Thread(target=serve, daemon=True).start()
        yield heard


ODD = (
    b"GET /%00?%00 HTTP/1.1",
    b"GET //x@y:1/ HTTP/1.1",
    b"GET http://[/ HTTP/1.1",
    b"GET /\xff HTTP/1.1",
    b"GET /%zz HTTP/1.1",
)


@pytest.mark.slow
def test_no_request_makes_a_traceback(
    address: str, model: list[bytes], capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    statuses = []
    for line in ODD:
        with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), timeout=10) as connection:
            connection.sendall(line + b"\r\nHost: x\r\nX-Odd: \xff\xfe\r\nConnection: close\r\n\r\n")
            statuses.append(connection.recv(100).split()[1])
    assert statuses[0] == b"200" and set(statuses) <= {b"200", b"400", b"404", b"502"}
    assert model[0].startswith(b"GET /%00?%00 ") and b"x-odd: \xff\xfe" in model[0].lower()
    assert "Traceback" not in capfd.readouterr().err + caplog.text


@pytest.mark.slow
def test_bodies_that_are_sent_at_once_are_bounded_together(
    address: str, model: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(switch, "MOST_HELD", 1_500)
    with socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), timeout=10) as slow:
        slow.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 999\r\n\r\n" + b"x" * 900)
        time.sleep(0.2)
        assert asked(address, b"x" * 700) == 503
        slow.sendall(b"x" * 99)
        assert b"200" in slow.recv(100)
    assert asked(address, b"x" * 700) == 200
