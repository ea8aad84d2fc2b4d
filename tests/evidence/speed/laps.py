"""Times two ways of doing the same work, one after the other."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from kbsync.operations.evidence import Figure, at_least
from kbsync.ports import Progress


@dataclass(frozen=True, slots=True)
class Lap:
    """How long a piece of work took."""

    wall: float
    """Wall-clock seconds."""
    cpu: float
    """Processor seconds of this process, on all its threads."""
    items: float = 1.0
    """How many things were done."""

    def per_item(self) -> Lap:
        return Lap(self.wall / self.items, self.cpu / self.items)


@dataclass(slots=True)
class Duel:
    """Laps of the baseline and of the fast code. The order changes in every round, because machines are noisy."""

    baseline: list[Lap] = field(default_factory=list)
    ours: list[Lap] = field(default_factory=list)

    def round(self, baseline: Callable[[], Lap], ours: Callable[[], Lap]) -> None:
        """Run both once. Each times its own work, so that its preparation does not count."""
        sides = [(baseline, self.baseline), (ours, self.ours)]
        for work, laps in sides if len(self.ours) % 2 == 0 else reversed(sides):
            laps.append(work())

    def figures(self, name: str, unit: str, target: float) -> list[Figure]:
        """The ratio of the baseline's time to ours, in wall-clock time (which is judged) and in processor time.

        Each is the median of the rounds. The seconds for each thing are figures, too.
        """
        pairs = [(b.per_item(), o.per_item()) for b, o in zip(self.baseline, self.ours, strict=True)]
        return [
            at_least(f"{name}.ratio", median(b.wall / o.wall for b, o in pairs), "times", target),
            Figure(f"{name}.ratio_cpu", median(b.cpu / o.cpu for b, o in pairs), "times"),
            Figure(f"{name}.seconds", median(o.wall for _, o in pairs), unit),
            Figure(f"{name}.baseline_seconds", median(b.wall for b, _ in pairs), unit),
        ]


@dataclass(slots=True)
class Running:
    wall: float = 0.0
    cpu: float = 0.0


@contextmanager
def lap() -> Iterator[Running]:
    """Time the block, in wall-clock time and in processor time of all threads."""
    running, wall, cpu = Running(), time.perf_counter(), time.process_time()
    yield running
    running.wall, running.cpu = time.perf_counter() - wall, time.process_time() - cpu


class Steps(Progress):
    """Sums up the seconds of each step by its name, and passes every call on."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._open: list[tuple[str, float, float]] = []
        self.laps: dict[str, Lap] = {}

    def start(self, step: str, total: int | None) -> None:
        self._progress.start(step, total)
        self._open.append((step, time.perf_counter(), time.process_time()))

    def advance(self, count: int = 1) -> None:
        self._progress.advance(count)

    def finish(self, note: str = "") -> None:
        self._progress.finish(note)
        step, wall, cpu = self._open.pop()
        before = self.laps.get(step, Lap(0.0, 0.0))
        self.laps[step] = Lap(before.wall + time.perf_counter() - wall, before.cpu + time.process_time() - cpu)

    def abandon(self) -> None:
        self._progress.abandon()
        self._open.clear()
