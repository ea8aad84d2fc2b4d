"""One exchange over HTTP: what is sent, what is not followed, and what it raises."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest

from kbsync.system import http
from tests.support import scripted_server as on
from tests.support.scripted_server import ScriptedServer


def test_the_answer_comes_whatever_its_status_and_its_body_is_read_inside() -> None:
    with ScriptedServer(on.http(503, b"later", kind="text/plain")) as server:
        headers = {"User-Agent": "kbsync (Zoë)"}
        with (
            http.client(headers, 5) as client,
            client.stream("POST", server.endpoint, content=b"query=ask") as response,
        ):
            assert (response.status_code, response.read()) == (503, b"later")
    (request,) = server.requests
    assert (request.method, request.query) == ("POST", "ask")
    assert request.headers["user-agent"].encode("latin-1").decode() == "kbsync (Zoë)"


@pytest.mark.parametrize(("follow", "status", "reached"), [(False, 302, 0), (True, 200, 1)])
def test_a_redirect_is_followed_only_where_it_may_be(follow: bool, status: int, reached: int) -> None:
    with ScriptedServer(on.good()) as target, ScriptedServer(on.http(302, Location=target.endpoint)) as server:
        with http.client({}, 5) as client:
            assert client.get(server.endpoint, follow_redirects=follow).status_code == status
        assert len(target.requests) == reached


def test_a_failure_before_anything_was_sent_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    for address in (f"http://127.0.0.1:{port}/", "http://wikidata.invalid/", "http://127.0.0.1:port/"):
        with http.client({}, 5) as client, pytest.raises(http.UNCONNECTED):
            client.get(address)


@pytest.mark.slow
@pytest.mark.parametrize("act", [on.raw(b"SSH-2.0-OpenSSH_9.6\r\n"), on.reset(), on.hang(), on.cut(b"{")])
def test_a_failure_after_that_is_one_of_the_others(act: on.Act) -> None:
    with ScriptedServer(act) as server, http.client({}, 0.3) as client, pytest.raises(http.FAILURES) as caught:
        client.get(server.endpoint)
    assert not isinstance(caught.value, http.UNCONNECTED)


@contextlib.contextmanager
def drip(forever: bytes, first: bytes) -> Iterator[str]:
    """A server that answers with ``first``, and then with a piece every 20 ms without an end."""
    ended = threading.Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(first)
            while not ended.wait(0.02):
                connection.sendall(forever)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, args=(listener,), daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        ended.set()


@pytest.mark.slow
@pytest.mark.hardening
@pytest.mark.parametrize(
    ("first", "forever", "message"),
    [
        (b"HTTP/1.1 200 OK\r\n", b"x: y\r\n", "did not finish"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"x", "did not finish"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n", b"x" * 2**22, "more than"),
    ],
)
def test_an_answer_without_an_end_ends(first: bytes, forever: bytes, message: str) -> None:
    begun = time.monotonic()
    with (
        drip(forever, first) as url,
        http.client({}, 5) as client,
        pytest.raises(httpx2.RequestError, match=message),
    ):
        http.ask(client, "GET", url, within=0.5)
    assert time.monotonic() - begun < 3


@pytest.mark.hardening
@pytest.mark.parametrize("proxy", ["ftp://me:hunter22@h", "socks5://me:hunter22@h", "http://me:hunter22@h:nine"])
def test_a_proxy_that_can_not_be_used_is_a_failure_that_tells_no_password(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(http.UNCONNECTED) as caught:
        http.client({}, 5)
    assert "hunter22" not in str(caught.value)
    assert caught.value.__cause__ is None
