"""Where the time goes: the seconds of each step, the matrix products in it, and what this machine could do.

Operations and bytes are those of matrix products and of attention, counted where torch runs them; the bytes are what
each of them reads and writes at least once. A step's limit is the longer of the two times that its operations and its
bytes take at the speeds of a large product and of a large copy on this machine.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from kbsync.operations.meter import MachineSpeed, Meter
from kbsync.ports import Progress


@dataclass(slots=True)
class ProfiledStep:
    """All runs of one step at one place among the steps."""

    path: tuple[str, ...]
    """The steps around it, from the outermost, and its own name."""
    calls: int = 0
    items: int = 0
    spent: Meter = field(default_factory=Meter)
    """Includes what the steps inside it took."""


@dataclass(slots=True)
class _OpenStep:
    name: str
    before: Meter
    """The reading when it began."""
    items: int = 0


class Profile:
    """The measurements of one command. ``begin`` and ``end`` may each be called twice."""

    def __init__(self) -> None:
        self._steps: dict[tuple[str, ...], ProfiledStep] = {}
        self._open: list[_OpenStep] = []
        self._counter: Any = None
        self._begun: Meter | None = None
        self.total = Meter()
        """What passed between ``begin`` and ``end``."""

    def begin(self) -> Self:
        """Count from here on; this loads torch."""
        if self._begun is None:
            from kbsync.operations.flop_counter import FlopCounter

            self._counter = FlopCounter()
            self._counter.__enter__()
            self._begun = self._read()
        return self

    def end(self) -> bool:
        """Stop counting. Steps that are still open, as after an error, count up to here.

        Returns:
            False where nothing was begun.
        """
        if self._begun is None or self._counter is None:
            return self._begun is not None
        while self._open:
            self.finished()
        self.total = self._read().since(self._begun)
        self._counter.__exit__(None, None, None)
        self._counter = None
        return True

    def watching(self, progress: Progress) -> Progress:
        """A display that passes everything on to ``progress`` and measures the steps."""
        return _MeasuringProgress(self.begin(), progress)

    def steps(self) -> Iterator[ProfiledStep]:
        """All steps, each followed by those inside it, in the order in which they first ran."""
        return iter(self._steps.values())

    def started(self, name: str) -> None:
        """A step begins inside those that are open."""
        path = (*(step.name for step in self._open), name)
        self._steps.setdefault(path, ProfiledStep(path))
        self._open.append(_OpenStep(name, self._read()))

    def advanced(self, count: int) -> None:
        """``count`` items are done; all open steps count them."""
        for step in self._open:
            step.items += count

    def finished(self) -> None:
        """The innermost step has ended."""
        if not self._open:
            return
        total = self._steps[tuple(step.name for step in self._open)]
        step = self._open.pop()
        total.spent.add(self._read().since(step.before))
        total.calls += 1
        total.items += step.items

    def _read(self) -> Meter:
        return Meter(time.perf_counter(), time.process_time(), self._counter.flops, self._counter.bytes)


class _MeasuringProgress(Progress):
    def __init__(self, profile: Profile, progress: Progress) -> None:
        self._profile, self._progress = profile, progress

    def start(self, step: str, total: int | None) -> None:
        self._progress.start(step, total)
        self._profile.started(step)

    def advance(self, count: int = 1) -> None:
        self._profile.advanced(count)
        self._progress.advance(count)

    def finish(self, note: str = "") -> None:
        self._profile.finished()
        self._progress.finish(note)

    def abandon(self) -> None:
        self._progress.abandon()


def table(profile: Profile, speed: MachineSpeed) -> str:
    """The measurements as text; ``of limit`` is the limit as a share of the step's seconds."""
    whole = profile.total.wall or 1.0
    rows: list[tuple[str, ...]] = [
        ("step", "calls", "items", "s", "cpu s", "share", "GFLOP", "GB", "limit s", "of limit")
    ]
    inside = Meter()
    for step in profile.steps():
        if len(step.path) == 1:
            inside.add(step.spent)
        name = "  " * (len(step.path) - 1) + step.path[-1]
        rows.append((name, f"{step.calls}", f"{step.items:,}", *_figures(step.spent, whole, speed)))
    rows.append(("outside steps", "", "", *_figures(profile.total.since(inside), whole, speed)))
    rows.append(("all", "", "", *_figures(profile.total, whole, speed)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    reached = f"{speed.flops / 1e9:.0f} GFLOP/s in float32 and {speed.bytes / 1e9:.1f} GB/s"
    return "\n".join([*lines, f"The limit: {reached}, as measured on this machine after the command."])


def _figures(spent: Meter, whole: float, speed: MachineSpeed) -> tuple[str, ...]:
    limit = speed.limit(spent)
    share = f"{limit / spent.wall:.0%}" if spent.wall > 0 else ""
    return (
        f"{spent.wall:.2f}",
        f"{spent.cpu:.2f}",
        f"{spent.wall / whole:.0%}",
        f"{spent.flops / 1e9:,.1f}",
        f"{spent.bytes / 1e9:,.1f}",
        f"{limit:.2f}",
        share,
    )
