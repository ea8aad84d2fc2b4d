"""Who may see and who may act: token, session, protection against forged requests, headers.

Starlette's own middleware would be no smaller: sessions must end with the process, forms carry a secret of their
session, and ``TrustedHostMiddleware`` answers 400, which says that the request was malformed.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
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
"""Content-Security-Policy of a report: it holds its own style, so that it can be sent by mail, and no script or
form."""


class Keys:
    """The token, and what proves that somebody has shown it. Sessions end with the process, or after twelve hours."""

    def __init__(self, token: str | None, now: Callable[[], float]) -> None:
        """Make the secret of this process.

        Args:
            token: What a person must show to act; None: nobody may act.
            now: Gives seconds that only grow.
        """
        self._token, self._now = token, now
        self._secret = secrets.token_bytes(32)

    @property
    def given(self) -> bool:
        """Whether there is a token at all."""
        return self._token is not None

    def right(self, offered: str) -> bool:
        """Whether this is the token, compared in constant time; the digests also hide the token's length."""
        if self._token is None:
            return False
        return hmac.compare_digest(_digest(offered), _digest(self._token))

    def session(self) -> str:
        """The cookie of a new session: its end, a nonce, and a signature of both."""
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
        """Whether a form was made for this session."""
        return hmac.compare_digest(self.csrf(session).encode(), offered.encode())

    def _sign(self, purpose: str, text: str) -> str:
        return hmac.new(self._secret, f"{purpose}:{text}".encode(), hashlib.sha256).hexdigest()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def session_of(request: HTTPConnection) -> str:
    """The session's cookie; empty where there is none."""
    return request.cookies.get(COOKIE, "")


def bearer_of(request: HTTPConnection) -> str:
    """The token of an ``Authorization: Bearer`` header; empty where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


class Guard:
    """Stands around the whole application: refuses requests, and adds ``HEADERS`` to every answer."""

    def __init__(self, app: ASGIApp, keys: Keys, *, private: bool, hosts: frozenset[str]) -> None:
        """Wrap ``app``.

        Args:
            private: Everything but ``OPEN`` demands the token, as everywhere but on loopback.
            hosts: On loopback, the only host names that a request may address: a page of another site whose own name
                points to 127.0.0.1 (DNS rebinding) gets nothing.
        """
        self._app, self._keys, self._private, self._hosts = app, keys, private, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(HTTPConnection(scope))
        await (refusal or self._app)(scope, receive, with_headers)

    def _refusal(self, request: HTTPConnection) -> Response | None:
        address, path = request.headers.get("host", ""), request.scope["path"]
        host = address.rsplit(":", 1)[0] if ":" in address else address
        if not self._private and host.strip("[]").lower() not in self._hosts:
            return PlainTextResponse("This host name is not served here.\n", 421)
        if not self._private or path.startswith(OPEN):
            return None
        if self._keys.right(bearer_of(request)) or self._keys.holds(session_of(request)):
            return None
        if "text/html" in request.headers.get("accept", "") and request.scope["method"] == "GET":
            return RedirectResponse(f"/login?next={quote(path)}", 303)
        return PlainTextResponse("A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"})
