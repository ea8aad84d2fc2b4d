"""Decides who may see the page and who may act: token, sessions, protection against forged requests.

Starlette's own middleware would not make this shorter: sessions must end with the process, and each form carries a
secret of its session.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable
from enum import Enum

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

from kbsync.system.log import logger
from kbsync.web.brake import Brake, network_of

COOKIE = "kbsync_session"
SESSION_SECONDS = 12 * 3600
MOST_SESSIONS = 1000
"""Largest number of sessions at the same time; a further one ends the oldest."""
QUIET_SECONDS = 60.0
"""Shortest time between two log lines about tokens that were not compared: otherwise anybody could fill the log."""


class Shown(Enum):
    """The result of offering a token."""

    RIGHT = "right"
    WRONG = "wrong"
    BRAKED = "braked"
    """It was not compared, because its network is braked."""


class Keys:
    """The token, and the sessions of those who have offered it. A session ends at logout, with the process, or after
    twelve hours."""

    def __init__(self, token: str | None, now: Callable[[], float], denied: Callable[[str], None]) -> None:
        """Make the secret of this process.

        Args:
            token: What a person must offer to act; None: nobody may act.
            now: A monotonic clock in seconds.
            denied: Is called with ``wrong`` or ``braked`` for each token that is not accepted.
        """
        self._token, self._now, self._denied = token, now, denied
        self._secret = secrets.token_bytes(32)
        self._brake = Brake(now)
        self._lock = threading.Lock()
        self._sessions: dict[bytes, float] = {}
        """By the digest of its cookie, when each session ends."""
        self._told = -QUIET_SECONDS

    @property
    def given(self) -> bool:
        """Whether a token is configured."""
        return self._token is not None

    def show(self, offered: str, request: HTTPConnection) -> Shown:
        """Compare ``offered`` with the token, in constant time; comparing digests also hides the token's length.

        Each network may offer a few wrong tokens, and then one a second. A token that is not accepted is logged and
        counted.
        """
        network = network_of(request.client.host if request.client else None)
        if self._brake.wait(network) > 0:
            self._deny(Shown.BRAKED, network, request)
            return Shown.BRAKED
        if self._token is not None and hmac.compare_digest(_digest(offered), _digest(self._token)):
            return Shown.RIGHT
        self._brake.wrong(network)
        self._deny(Shown.WRONG, network, request)
        return Shown.WRONG

    def session(self) -> str:
        """The cookie of a new session."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            now = self._now()
            self._sessions = {key: end for key, end in self._sessions.items() if end > now}
            if len(self._sessions) >= MOST_SESSIONS:
                del self._sessions[next(iter(self._sessions))]
            self._sessions[_digest(cookie)] = now + SESSION_SECONDS
        return cookie

    def holds(self, session: str) -> bool:
        """Whether this process made the session and it has not ended."""
        with self._lock:
            return self._sessions.get(_digest(session), 0.0) > self._now()

    def end(self, session: str) -> None:
        """Log out; copies of the session's cookie become worthless, too."""
        with self._lock:
            self._sessions.pop(_digest(session), None)

    def csrf(self, session: str) -> str:
        """The secret that each form of this session carries, and that no other site can know."""
        return hmac.new(self._secret, f"csrf:{session}".encode(), hashlib.sha256).hexdigest()

    def unforged(self, session: str, offered: str) -> bool:
        """Whether a form was made for this session."""
        return hmac.compare_digest(self.csrf(session).encode(), offered.encode("utf-8", "surrogatepass"))

    def _deny(self, shown: Shown, network: str, request: HTTPConnection) -> None:
        self._denied(shown.value)
        if shown is Shown.BRAKED:
            now = self._now()
            if now - self._told < QUIET_SECONDS:
                return
            self._told = now
        path = request.scope["path"][:100]
        logger().warning("token denied", reason=shown.value, network=network, path=path)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def session_of(request: HTTPConnection) -> str:
    """The session's cookie; empty where there is none."""
    return request.cookies.get(COOKIE, "")


def bearer_of(request: HTTPConnection) -> str:
    """The token of an ``Authorization: Bearer`` header; empty where there is none."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def refused(shown: Shown) -> PlainTextResponse:
    """The answer to a request without a token, with a wrong one, or from a network that offered too many wrong ones."""
    if shown is Shown.BRAKED:
        return PlainTextResponse("Too many wrong tokens; try again in a second.\n", 429, {"Retry-After": "1"})
    return PlainTextResponse("A token is needed.\n", 401, {"WWW-Authenticate": "Bearer"})
