"""HTTP as all of kbsync speaks it: over the machine's proxies, and trusting the authorities that the machine trusts."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cache
from typing import Any, NamedTuple

import httpx2

FAILURES = (httpx2.RequestError, httpx2.InvalidURL)
"""What a request may raise: no connection, a broken or silent one, an answer that is not HTTP, a malformed address."""
UNCONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError, httpx2.InvalidURL)
"""Those of them that come before anything was sent."""

LARGEST = 8 * 2**20
"""Bytes of an answer that is asked for by ``ask``, after decompression."""


class Answer(NamedTuple):
    """What a server answered."""

    status: int
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether it is 2xx."""
        return 200 <= self.status < 300

    @property
    def words(self) -> str:
        """The body as text on one line."""
        return " ".join(self.body.decode(errors="replace").split())


def client(headers: Mapping[str, str], timeout: float) -> httpx2.Client:
    """A client for one exchange, or several; use it as a context manager. Redirects are answers like any other.

    Args:
        headers: Sent with every request; what is not ASCII is sent as UTF-8.
        timeout: Longest silence, in seconds, while connecting, sending, and waiting for each piece of an answer. It
            bounds neither the look-up of a name nor the exchange as a whole.

    Raises:
        httpx2.ProxyError: The machine's proxy can't be used.
        httpx2.InvalidURL: Its address can't be read.
    """
    sent = httpx2.Headers(headers, encoding="utf-8")
    try:
        return httpx2.Client(headers=sent, timeout=timeout, verify=_authorities())
    except (ValueError, ImportError) as error:  # a scheme that it does not know
        raise httpx2.ProxyError(f"the proxy that the environment names can't be used: {error}") from None


def ask(
    client: httpx2.Client,
    method: str,
    url: str,
    *,
    within: float,
    json: Any = None,
    content: bytes | None = None,
    read: bool = True,
) -> Answer:
    """Send one request and read its answer, in a thread that is left alone after ``within`` seconds.

    A client's timeout does not end the wait for a server that sends a byte now and then.

    Args:
        client: What ``client`` returns.
        within: Seconds for all of it.
        json: The request's body as JSON, or else ``content``.
        read: Read the answer's body, too; else it is empty.

    Raises:
        httpx2.RequestError: As the client raises; also where the time is over, or the answer is too large.
        httpx2.InvalidURL: As the client raises.
    """
    answer: Future[Answer] = Future()

    def work() -> None:
        try:
            with client.stream(method, url, json=json, content=content) as response:
                body = bytearray()
                for piece in response.iter_bytes() if read else ():
                    body += piece
                    if len(body) > LARGEST:
                        raise httpx2.ReadError(f"it answered with more than {LARGEST} bytes")
            answer.set_result(Answer(response.status_code, bytes(body)))
        except Exception as error:
            answer.set_exception(error)

    threading.Thread(target=work, name="http-exchange", daemon=True).start()
    try:
        return answer.result(within)
    except TimeoutError:
        raise httpx2.ReadTimeout(f"it did not finish its answer within {within:g} seconds") from None


@cache
def _authorities() -> ssl.SSLContext:
    """Read once, because it takes a tenth of a second."""
    return httpx2.create_ssl_context()
