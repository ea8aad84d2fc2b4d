"""Who may see and who may act: token, session, protection against forged requests, headers."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "kbsync_session"
SESSION_SECONDS = 12 * 3600
OPEN = ("/healthz", "/login", "/static/")
"""Paths that tell nothing and need no token."""

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}


REPORT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
)
"""Of a report, which holds its style so that it can be sent by mail; it has no script and no form."""


class Keys:
    """The token, and what proves that somebody showed it. Sessions end with the process, or after twelve hours.

    ``now`` gives seconds that only grow.
    """

    def __init__(self, token: str | None, now: Callable[[], float]) -> None:
        self._token, self._now = token, now
        self._secret = secrets.token_bytes(32)

    @property
    def given(self) -> bool:
        """Whether there is a token at all; without one nobody may act."""
        return self._token is not None

    def right(self, offered: str) -> bool:
        """Compare in constant time; the digests also hide the token's length."""
        if self._token is None:
            return False
        return hmac.compare_digest(_digest(offered), _digest(self._token))

    def session(self) -> str:
        """A new session's cookie: its end, a nonce, and a signature of both."""
        body = f"{int(self._now()) + SESSION_SECONDS}.{secrets.token_hex(8)}"
        return f"{body}.{self._sign('session', body)}"

    def holds(self, session: str) -> bool:
        """Whether this process made the session and it has not ended."""
        body, _, signature = session.rpartition(".")
        if not hmac.compare_digest(self._sign("session", body).encode(), signature.encode()):
            return False
        return int(body.partition(".")[0]) > self._now()

    def csrf(self, session: str) -> str:
        """What a form of this session carries, and no other site can know."""
        return self._sign("csrf", session)

    def unforged(self, session: str, offered: str) -> bool:
        return hmac.compare_digest(self.csrf(session).encode(), offered.encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def session_of(headers: Headers) -> str:
    """The session's cookie; empty where there is none."""
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return ""
    return found.value if found else ""


def bearer_of(headers: Headers) -> str:
    """The token of an ``Authorization: Bearer`` header; empty where there is none."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Guard:
    """Around the whole application. ``private``: everything but ``OPEN`` demands the token (not on loopback).

    On loopback, ``hosts`` are the only names that a request may address: a page of another site that has its own name
    point to 127.0.0.1 (DNS rebinding) gets nothing.
    """

    def __init__(self, app: ASGIApp, keys: Keys, *, private: bool, hosts: frozenset[str]) -> None:
        self._app, self._keys, self._private, self._hosts = app, keys, private, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers, path = Headers(scope=scope), scope["path"]
        host = headers.get("host", "").rsplit(":", 1)[0] if ":" in headers.get("host", "") else headers.get("host", "")
        if not self._private and host.strip("[]").lower() not in self._hosts:
            return PlainTextResponse("This host name is not served here.\n", 421)
        if not self._private or path.startswith(OPEN):
            return None
        if self._keys.right(bearer_of(headers)) or self._keys.holds(session_of(headers)):
            return None
        if "text/html" in headers.get("accept", "") and scope["method"] == "GET":
            return RedirectResponse(f"/login?next={quote(path)}", 303)
        return PlainTextResponse("A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"})
