"""Wraps the whole application: decides who may see it, limits requests at once, and adds headers to every answer.

Starlette's ``TrustedHostMiddleware`` is not used: it answers 400, which would call the request malformed.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect, HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kbsync.system.log import logger
from kbsync.web.brake import HELD
from kbsync.web.security import Keys, Shown, bearer_of, refused, session_of

P = ParamSpec("P")
R = TypeVar("R")

HEALTH = "/healthz"
OPEN = (HEALTH, "/login", "/static/")
"""Paths that disclose nothing and need no token."""
HELD_SECONDS = 1.0
"""Delay of the answer to a request whose token was not compared, because its network is braked."""
MOST_AT_ONCE = 32
"""Requests that are handled at the same time, not counting health checks; further ones are refused."""

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
"""Content-Security-Policy of a report. A report contains its own style, so that it can be sent by mail, and neither
scripts nor forms."""


class Guard:
    """Wraps the whole application: refuses requests, adds ``HEADERS`` to every answer, and logs an unexpected error in
    one line."""

    def __init__(
        self, app: ASGIApp, keys: Keys, *, private: bool, hosts: frozenset[str], denied: Callable[[str], None]
    ) -> None:
        """Wrap ``app``.

        Args:
            denied: Is called with ``busy`` for each request that is refused because too many are being handled.
            private: Everything except ``OPEN`` needs the token. Only a page on loopback is not private.
            hosts: On loopback, the only host names that a request may address, so that a page of another site whose
                name resolves to 127.0.0.1 (DNS rebinding) gets no answer.
        """
        self._app, self._keys, self._private, self._hosts, self._denied = app, keys, private, hosts, denied
        self._working = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one ASGI request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                if message["status"] == 429:
                    scope[HELD] = True
                    await asyncio.sleep(HELD_SECONDS)
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        request = HTTPConnection(scope)
        refusal = self._refusal(request)
        if refusal is not None or scope["path"] == HEALTH:
            await (refusal or self._app)(scope, receive, with_headers)
        elif self._working >= MOST_AT_ONCE:
            self._denied("busy")
            await _busy()(scope, receive, with_headers)
        else:
            self._working += 1
            try:
                await self._answer(scope, self._uncounted(receive), self._uncounted(with_headers))
            finally:
                self._working -= 1

    def _uncounted(self, wait: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
        """Not count a request while it waits for the client to send or to receive, so that slow clients don't keep
        others out."""

        async def waiting(*args: P.args, **kwargs: P.kwargs) -> R:
            self._working -= 1
            try:
                return await wait(*args, **kwargs)
            finally:
                self._working += 1

        return waiting

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer even after an unexpected error. The log gets no traceback: otherwise anybody could fill it."""
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, noting)
        except ClientDisconnect:
            return
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            logger().error(
                "page failed",
                path=scope["path"][:100],
                error=type(error).__name__,
                place=f"{Path(place.filename).name}:{place.lineno}",
            )
            logger().debug("page failed", exc_info=error)
            if not begun:
                await PlainTextResponse("Internal server error.\n", 500)(scope, receive, send)

    def _refusal(self, request: HTTPConnection) -> Response | None:
        address, path = request.headers.get("host", ""), request.scope["path"]
        host = address.rsplit(":", 1)[0] if ":" in address else address
        if not self._private and host.strip("[]").lower() not in self._hosts:
            return PlainTextResponse("This host name is not served here.\n", 421)
        if not self._private or path.startswith(OPEN) or self._keys.holds(session_of(request)):
            return None
        offered = bearer_of(request)
        shown = self._keys.show(offered, request) if offered else Shown.WRONG
        if shown is Shown.RIGHT:
            return None
        if not offered and "text/html" in request.headers.get("accept", "") and request.scope["method"] == "GET":
            return RedirectResponse(f"/login?next={quote(path)}", 303)
        return refused(shown)


def _busy() -> Response:
    return PlainTextResponse("Too many requests at once; try again in a second.\n", 503, {"Retry-After": "1"})
