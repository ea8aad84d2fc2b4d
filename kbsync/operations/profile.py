"""Where the time goes: seconds of each step beside the matrix products in it and what this machine can do.

A progress display that passes everything on and keeps the books. Operations and bytes are those of matrix products and of
attention, counted where torch runs them: the bytes are what each reads and writes at least once. The limit is the longer of
both times, at the speeds that a large product and a large copy reach here.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from kbsync.operations.meter import Meter, Speeds
from kbsync.ports import Progress


@dataclass(slots=True)
class Line:
    """One step by its place among the steps; ``spent`` holds what the steps inside it took, too."""

    path: tuple[str, ...]
    calls: int = 0
    items: int = 0
    spent: Meter = field(default_factory=Meter)


class Profile:
    """The books of one command. ``begin`` and ``end`` may each be called twice."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, ...], Line] = {}
        self._open: list[tuple[str, Meter, int]] = []
        self._counter: Any = None
        self._begun: Meter | None = None
        self.total = Meter()

    def begin(self) -> Self:
        """Count from here on. Loads torch."""
        if self._begun is None:
            from kbsync.operations.flop_counter import Products

            self._counter = Products()
            self._counter.__enter__()
            self._begun = self._read()
        return self

    def end(self) -> bool:
        """Stop counting; steps that are still open, as after an error, count up to here. False where nothing was begun."""
        if self._begun is None or self._counter is None:
            return self._begun is not None
        while self._open:
            self.finished()
        self.total = self._read().since(self._begun)
        self._counter.__exit__(None, None, None)
        self._counter = None
        return True

    def watching(self, progress: Progress) -> Progress:
        """``progress``, with its steps in the books."""
        return _Watching(self.begin(), progress)

    def lines(self) -> Iterator[Line]:
        """All steps, each followed by those inside it, in the order in which they first ran."""
        return iter(self._lines.values())

    def started(self, step: str) -> None:
        path = (*(name for name, _, _ in self._open), step)
        self._lines.setdefault(path, Line(path))
        self._open.append((step, self._read(), 0))

    def advanced(self, count: int) -> None:
        self._open = [(name, before, items + count) for name, before, items in self._open]

    def finished(self) -> None:
        if not self._open:
            return
        line = self._lines[tuple(name for name, _, _ in self._open)]
        _, before, items = self._open.pop()
        line.spent.add(self._read().since(before))
        line.calls += 1
        line.items += items

    def _read(self) -> Meter:
        counted = self._counter
        return Meter(time.perf_counter(), time.process_time(), counted.operations, counted.moved)


class _Watching(Progress):
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


def table(profile: Profile, speeds: Speeds) -> str:
    """The books as text. ``of limit``: the share of the step's time that the counted work takes at the limit."""
    whole = profile.total.wall or 1.0
    rows: list[tuple[str, ...]] = [
        ("step", "calls", "items", "s", "cpu s", "share", "GFLOP", "GB", "limit s", "of limit")
    ]
    outer = Meter()
    for line in profile.lines():
        if len(line.path) == 1:
            outer.add(line.spent)
        name = "  " * (len(line.path) - 1) + line.path[-1]
        rows.append((name, f"{line.calls}", f"{line.items:,}", *_figures(line.spent, whole, speeds)))
    rows.append(("outside steps", "", "", *_figures(profile.total.since(outer), whole, speeds)))
    rows.append(("all", "", "", *_figures(profile.total, whole, speeds)))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    speed = f"{speeds.operations / 1e9:.0f} GFLOP/s in float32 and {speeds.moved / 1e9:.1f} GB/s"
    return "\n".join([*lines, f"The limit: {speed}, as measured on this machine after the command."])


def _figures(spent: Meter, whole: float, speeds: Speeds) -> tuple[str, ...]:
    limit = speeds.limit(spent)
    reached = f"{limit / spent.wall:.0%}" if spent.wall > 0 else ""
    return (
        f"{spent.wall:.2f}",
        f"{spent.cpu:.2f}",
        f"{spent.wall / whole:.0%}",
        f"{spent.operations / 1e9:,.1f}",
        f"{spent.moved / 1e9:,.1f}",
        f"{limit:.2f}",
        reached,
    )
