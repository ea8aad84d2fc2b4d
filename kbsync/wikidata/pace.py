"""Limits how fast requests follow each other."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

UNPACED = 20
"""Number of requests without a pause; a pull of a known watch set needs no more."""


class Pace:
    """Allows ``UNPACED`` requests at once, and then one for every ``pause`` seconds."""

    def __init__(self, pause: float, now: Callable[[], datetime]) -> None:
        self._pause = pause
        self._now = now
        self._saved = float(UNPACED)
        self._last = now()

    def pause(self) -> float:
        """Seconds to wait before the request that is about to be sent."""
        if not self._pause:
            return 0.0
        now = self._now()
        earned = max(0.0, (now - self._last).total_seconds()) / self._pause
        self._saved, self._last = min(float(UNPACED), self._saved + earned) - 1, now
        return max(0.0, -self._saved * self._pause)
