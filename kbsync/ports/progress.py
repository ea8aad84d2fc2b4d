"""What every stage is handed: the time, and the place where its progress is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime


class Clock(ABC):
    @abstractmethod
    def now(self) -> datetime:
        """The current time, aware, in UTC."""


class Progress(ABC):
    """Progress of long work, and the place where a stop request is noticed."""

    @abstractmethod
    def start(self, stage: str, total: int | None) -> None:
        """A step named ``stage`` begins; ``total`` items, None where that is unknown."""

    @abstractmethod
    def advance(self, count: int = 1) -> None:
        """``count`` items are done. Raises ``Stopped`` when a stop was asked for: call it where stopping is safe."""

    @abstractmethod
    def finish(self, note: str = "") -> None:
        """The step ended."""
