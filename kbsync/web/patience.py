"""Closes connections that send no request, so that others are answered.

uvicorn limits the time between two requests, but neither the time before the first request nor the time that an
incomplete one may take; and its ``limit_concurrency`` counts idle connections like busy ones.
"""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from kbsync.web.brake import HELD

PATIENCE_SECONDS = 10.0
"""Time within which a whole request must arrive, and within which the client must read on."""
MOST_OPEN = 256
"""Largest number of connections; beyond it, the one that has been idle longest is closed."""


class PatientProtocol(H11Protocol):
    """One connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to watch the connection; close the one that has been idle longest if there are too many."""
        super().connection_made(transport)
        self._idle_since = self.loop.time()
        self._look = self.loop.call_later(PATIENCE_SECONDS, self._close_if_idle)
        if len(self.connections) > MOST_OPEN:
            idle = [other for other in self.connections if isinstance(other, PatientProtocol) and other.idle]
            min(idle, key=lambda other: other._idle_since, default=self).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._look.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Start the time of the next request."""
        self._idle_since = self.loop.time()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """Start the time within which the client must read on."""
        self._idle_since = self.loop.time()
        super().pause_writing()

    @property
    def idle(self) -> bool:
        """Whether nothing is being done: no whole request has arrived, the client does not read, or the answer is
        delayed."""
        cycle: Any = self.cycle
        if cycle is None or cycle.response_complete or cycle.more_body:
            return True
        return self.flow.write_paused or HELD in cycle.scope

    def _close_if_idle(self) -> None:
        left = PATIENCE_SECONDS - (self.loop.time() - self._idle_since)
        if self.idle and left <= 0:
            self.transport.abort()
        else:
            self._look = self.loop.call_later(left if left > 0 else PATIENCE_SECONDS, self._close_if_idle)
