"""Where a stop request or a deadline becomes the error that ends a stage: checks for ``Work``."""

from __future__ import annotations

import time
from datetime import timedelta

from kbsync.domain.errors import Stopped
from kbsync.system.stop_request import StopRequest

_KEPT = "What was finished is kept; the rest was abandoned cleanly."


def check_stop(stop: StopRequest) -> None:
    """Raise ``Stopped`` once ``stop`` was requested."""
    if stop.requested:
        raise Stopped(f"Stopped by {stop.reason}.", kept=_KEPT, next_step="The same command goes on from there.")


class Deadline:
    """Ends work that is not done within ``span`` of now."""

    def __init__(self, span: timedelta) -> None:
        self._span = span
        self._end = time.monotonic() + span.total_seconds()

    @property
    def overdue(self) -> bool:
        return time.monotonic() > self._end

    def check(self) -> None:
        """Raise ``Stopped`` once the deadline has passed."""
        if self.overdue:
            raise Stopped(
                f"Not done within its deadline of {self._span}.",
                kept=_KEPT,
                next_step="The next cycle goes on from there; a longer schedule.deadline lets one cycle do more.",
            )
