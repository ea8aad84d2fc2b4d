"""Stop requests: a signal sets a flag, and long work notices it where stopping is safe."""

from __future__ import annotations

import queue
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from types import FrameType

from kbsync.domain.errors import Stopped

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Stop:
    """Set by SIGTERM or SIGINT; a second SIGINT interrupts at once, wherever the work stands."""

    def __init__(self) -> None:
        self._reason = ""
        # A signal handler runs in the thread that waits: of the standard waiting tools only SimpleQueue promises
        # that this can't deadlock.
        self._bell: queue.SimpleQueue[None] = queue.SimpleQueue()

    @property
    def requested(self) -> bool:
        return bool(self._reason)

    def request(self, reason: str) -> None:
        self._reason = self._reason or reason
        self.wake()

    def wake(self) -> None:
        """End the wait that is going on, without a stop."""
        self._bell.put(None)

    def wait(self, seconds: float | None = None) -> bool:
        """Sleep until a stop is asked for (True), the time is over, or ``wake`` is called (False)."""
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


class Deadline(Stop):
    """A stop that ``parent`` asks for, or that comes by itself when ``span`` is over."""

    def __init__(self, parent: Stop, span: timedelta) -> None:
        super().__init__()
        self._parent, self._span = parent, span
        self._end = time.monotonic() + span.total_seconds()

    @property
    def overdue(self) -> bool:
        return time.monotonic() > self._end

    @property
    def requested(self) -> bool:
        return self._parent.requested or self.overdue

    def check(self) -> None:
        self._parent.check()
        if self.overdue:
            raise Stopped(
                f"Not done within its deadline of {self._span}.",
                kept="What was finished is kept; the rest was abandoned cleanly.",
                next_step="The next cycle goes on from there; a longer schedule.deadline lets one cycle do more.",
            )


@contextmanager
def on_signals(stop: Stop, hangup: Callable[[], None] | None = None) -> Iterator[Stop]:
    """Let SIGTERM and SIGINT request ``stop`` inside the block, and SIGHUP call ``hangup`` where it is given.

    Only the main thread may set signal handlers; ``hangup`` runs inside the handler and must only take a note.
    """
    before = {number: signal.signal(number, stop._handle) for number in SIGNALS}
    if hangup is not None:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda _number, _frame: hangup())
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
