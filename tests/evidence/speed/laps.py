"""Two ways to do the same, timed side by side."""

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
    """Seconds on the wall and of this process's processors, for ``items`` things done."""

    wall: float
    cpu: float
    items: float = 1.0

    def per_item(self) -> Lap:
        return Lap(self.wall / self.items, self.cpu / self.items)


@dataclass(slots=True)
class Duel:
    """Laps of the baseline and of the fast code; the order changes with every round, since machines are noisy."""

    baseline: list[Lap] = field(default_factory=list)
    ours: list[Lap] = field(default_factory=list)

    def round(self, baseline: Callable[[], Lap], ours: Callable[[], Lap]) -> None:
        """Both once; each times its own work, so that what it must make ready does not count."""
        sides = [(baseline, self.baseline), (ours, self.ours)]
        for work, laps in sides if len(self.ours) % 2 == 0 else reversed(sides):
            laps.append(work())

    def figures(self, name: str, unit: str, target: float) -> list[Figure]:
        """How many times the baseline's time, by the wall (which is judged) and by the processors, each the median of
        the rounds; and the seconds per thing of both."""
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
    """Times the block; all threads of the process count as processors."""
    running, wall, cpu = Running(), time.perf_counter(), time.process_time()
    yield running
    running.wall, running.cpu = time.perf_counter() - wall, time.process_time() - cpu


class Steps(Progress):
    """Seconds of each step of a piece of work by the step's name, of all its rounds; passes everything on."""

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
