"""Progress as people follow it: only the outermost step is shown, and each that has ended is a log line."""

from __future__ import annotations

import time
from abc import abstractmethod
from dataclasses import dataclass, field

from kbsync.ports import Progress
from kbsync.system.log import logger


@dataclass(slots=True)
class Step:
    """A running step."""

    name: str
    total: int | None
    """Number of items; None while it is unknown."""
    done: int = 0
    started: float = field(default_factory=time.monotonic)
    """In seconds of the monotonic clock."""

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started


class StepProgress(Progress):
    """Shows the outermost of the running steps.

    An item of an inner step also counts for the steps around it. A step that has nothing to do is not shown.
    """

    def __init__(self) -> None:
        self._steps: list[Step] = []

    def start(self, step: str, total: int | None) -> None:
        self._steps.append(Step(step, total))
        outer = self._steps[0]
        if len(self._steps) == 1:
            self._began(outer)
        elif outer.total is None and total is not None:
            outer.total = total
            self._moved(outer)

    def advance(self, count: int = 1) -> None:
        for step in self._steps:
            step.done += count
        if self._steps:
            self._moved(self._steps[0])

    def finish(self, note: str = "") -> None:
        step = self._steps.pop() if self._steps else None
        if step is not None and not self._steps:
            self._ended(step, note)

    def abandon(self) -> None:
        self._steps.clear()

    def _began(self, step: Step) -> None:
        """The outermost step begins."""

    def _moved(self, step: Step) -> None:
        """The outermost step advanced, or learnt its total."""

    @abstractmethod
    def _ended(self, step: Step, note: str) -> None:
        """The outermost step is done."""


class LogProgress(StepProgress):
    """Writes one log line when a step has ended."""

    def _ended(self, step: Step, note: str) -> None:
        if step.total == 0:
            return
        fields = {"note": note} if note else {}
        logger().info("step ended", step=step.name, items=step.done, seconds=round(step.seconds, 3), **fields)
