"""Stop requests: a signal sets a flag, and long work notices it where stopping is safe."""

from __future__ import annotations

import queue
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

from kbsync.domain.errors import Stopped

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Set by SIGTERM or SIGINT; a second SIGINT interrupts at once, wherever the work stands."""

    def __init__(self) -> None:
        self.requested = False
        self._reason = ""
        # A signal handler runs in the thread that waits: of the standard waiting tools only SimpleQueue promises
        # that this can't deadlock.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    def request(self, reason: str) -> None:
        self._reason = self._reason or reason
        self.requested = True
        self._bell.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep until a stop is asked for (True) or the time is over (False)."""
        if not self.requested:
            with suppress(queue.Empty):
                self._bell.get(timeout=seconds)
        return self.requested

    def check(self) -> None:
        """Raise ``Stopped`` once a stop was asked for."""
        if self.requested:
            raise Stopped(
                f"Stopped by {self._reason}.",
                kept="What was finished is kept; the rest was abandoned cleanly.",
                next_step="The same command goes on from there.",
            )

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.request(signal.Signals(number).name)


@contextmanager
def on_signals(stop: Stop) -> Iterator[Stop]:
    """Let SIGTERM and SIGINT request ``stop`` inside the block. Only the main thread may set signal handlers."""
    before = {number: signal.signal(number, stop._handle) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
