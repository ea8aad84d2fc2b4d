"""HTTP as all of kbsync speaks it: over the machine's proxies, and trusting the authorities that the machine trusts."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import cache

import httpx2

FAILURES = (httpx2.RequestError, httpx2.InvalidURL)
"""What a request may raise: no connection, a broken or silent one, an answer that is not HTTP, a malformed address."""
UNCONNECTED = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.ProxyError, httpx2.InvalidURL)
"""Those of them that come before anything was sent."""


def client(headers: Mapping[str, str], timeout: float) -> httpx2.Client:
    """A client for one exchange, or several; use it as a context manager. Redirects are answers like any other.

    Args:
        headers: Sent with every request; what is not ASCII is sent as UTF-8.
        timeout: Longest silence, in seconds, while connecting, sending, and waiting for each piece of an answer. It
            bounds neither the look-up of a name nor the exchange as a whole.
    """
    return httpx2.Client(headers=httpx2.Headers(headers, encoding="utf-8"), timeout=timeout, verify=_authorities())


@cache
def _authorities() -> ssl.SSLContext:
    """Read once, because it takes a tenth of a second."""
    return httpx2.create_ssl_context()
