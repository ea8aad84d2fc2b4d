"""Checks for ``Work``: they turn a stop request or a deadline into the error that ends a stage."""

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
    """Ends work that takes too long."""

    def __init__(self, span: timedelta) -> None:
        """The work may take ``span`` from now on."""
        self._span = span
        self._end = time.monotonic() + span.total_seconds()

    @property
    def overdue(self) -> bool:
        """Whether the deadline has passed."""
        """Whether the time is over."""
        return time.monotonic() > self._end

    def check(self) -> None:
        """Raise ``Stopped`` once the deadline has passed."""
        if self.overdue:
            raise Stopped(
                f"Not done within its deadline of {self._span}.",
                kept=_KEPT,
                next_step="The next cycle goes on from there; a longer schedule.deadline lets one cycle do more.",
            )
