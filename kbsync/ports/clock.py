"""The time as a stage sees it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime


class Clock(ABC):
    """The only source of time for stages, so that a test decides what time it is and no test waits."""

    @abstractmethod
    def now(self) -> datetime:
        """Return the current time, aware, in UTC."""

    @abstractmethod
    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; never goes back, whatever happens to ``now``."""

    @abstractmethod
    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``."""
