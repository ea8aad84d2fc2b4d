"""The switch before llama.cpp: nobody who says nothing, or too much, keeps others out."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

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


def test_it_answers_beside_many_connections_that_say_nothing(address: str) -> None:
    port = int(address.rsplit(":", 1)[1])
    silent = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(60)]
    assert asked(address) == 503
    assert silent[0].recv(1) == b"", "the one that was idle longest made room"
    for connection in silent:
        connection.close()


def test_a_request_that_is_too_long_is_refused(address: str) -> None:
    assert asked(address, b"x" * 1_000) == 503
    assert asked(address, b"x" * 1_001) == 413
