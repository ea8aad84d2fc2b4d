"""A request to stop: a signal makes it, and it ends the wait of whoever waits for it."""

from __future__ import annotations

import queue
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Made by SIGTERM or SIGINT; a second SIGINT raises ``KeyboardInterrupt`` at once, wherever the work is."""

    def __init__(self) -> None:
        self.reason = ""
        """Who or what asked for the stop; empty while nobody has."""
        # The signal handler runs in the thread that waits. Of the standard library's tools only SimpleQueue promises
        # not to deadlock then.
        self._wake_ups: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def requested(self) -> bool:
        """Whether a stop was asked for."""
        return bool(self.reason)

    def request(self, reason: str) -> None:
        """Ask for the stop; the first reason stays."""
        self.reason = self.reason or reason
        self.wake()

    def wake(self) -> None:
        """End the wait that is going on, without a stop."""
        self._wake_ups.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep until a stop is asked for (True), the time is over, or ``wake`` is called (False)."""
        if not self.requested:
            with suppress(queue.Empty):
                self._wake_ups.get(timeout=seconds)
        return self.requested

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request(signal.Signals(number).name)


@contextmanager
def on_signals(stop: StopRequest, hangup: Callable[[], None] | None = None) -> Iterator[StopRequest]:
    """Let SIGTERM and SIGINT request ``stop`` inside the block, and SIGHUP call ``hangup`` where it is given.

    Only the main thread may set signal handlers. ``hangup`` runs inside the handler, so it may do no more than set a
    flag.
    """
    before = {number: signal.signal(number, stop._handle) for number in SIGNALS}
    if hangup is not None:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda _number, _frame: hangup())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
