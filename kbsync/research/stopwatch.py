"""How long the steps of an edit take."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kbsync.ports import Progress

SEARCH = "targets"
"""The step of an edit in which target vectors are searched, and the kind of artifact that keeps them."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """How long something took."""

    clock: float = 0.0
    """By the wall clock."""
    processor: float = 0.0
    """Of this process, on all its threads."""

    @classmethod
    def now(cls) -> Seconds:
        """Both clocks as they stand."""
        return cls(time.monotonic(), time.process_time())

    def __add__(self, other: Seconds) -> Seconds:
        return Seconds(self.clock + other.clock, self.processor + other.processor)

    def __sub__(self, other: Seconds) -> Seconds:
        return Seconds(self.clock - other.clock, self.processor - other.processor)


class Stopwatch(Progress):
    """Another display that also adds up the seconds of each step."""

    def __init__(self, shown: Progress) -> None:
        self.seconds: dict[str, Seconds] = {}
        self._shown = shown
        self._running: list[tuple[str, Seconds]] = []

    def start(self, step: str, total: int | None) -> None:
        self._running.append((step, Seconds.now()))
        self._shown.start(step, total)

    def advance(self, count: int = 1) -> None:
        self._shown.advance(count)

    def finish(self, note: str = "") -> None:
        step, begun = self._running.pop()
        self.seconds[step] = self.seconds.get(step, Seconds()) + Seconds.now() - begun
        self._shown.finish(note)

    def abandon(self) -> None:
        self._running.clear()
        self._shown.abandon()
