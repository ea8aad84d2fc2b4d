"""Progress bars on a terminal's stderr."""

from __future__ import annotations

import sys
import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from kbsync.ports import Progress
from kbsync.service.progress import LogProgress
from kbsync.service.stop import Stop


class BarProgress(Progress):
    """A bar while a step runs, and one line with its seconds when it has ended."""

    def __init__(self, stop: Stop, console: Console | None = None) -> None:
        self._stop = stop
        self._console = console or Console(stderr=True, markup=False, highlight=False)
        self._bars: Bars | None = None
        self._task = TaskID(0)
        self._stage, self._done, self._started = "", 0, 0.0
        self._total: int | None = None

    def start(self, stage: str, total: int | None) -> None:
        self._close()
        self._stage, self._total, self._done, self._started = stage, total, 0, time.monotonic()
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        self._bars = Bars(*columns, TimeElapsedColumn(), TimeRemainingColumn(), console=self._console, transient=True)
        self._task = self._bars.add_task(stage, total=total)
        self._bars.start()

    def advance(self, count: int = 1) -> None:
        self._done += count
        if self._bars:
            self._bars.advance(self._task, count)
        if self._stop.requested:
            self._close()
        self._stop.check()

    def finish(self, note: str = "") -> None:
        self._close()
        if self._total == 0:
            return
        seconds = time.monotonic() - self._started
        items = f"{self._done} items, " if self._done else ""
        self._console.print(f"{self._stage}: {items}{seconds:.1f} s{f', {note}' if note else ''}", style="dim")

    def _close(self) -> None:
        if self._bars:
            self._bars.stop()
            self._bars = None


def progress_for(stop: Stop, *, quiet: bool) -> Progress:
    """Bars on a terminal, else a log line for each finished step (which ``--quiet`` holds back)."""
    return BarProgress(stop) if sys.stderr.isatty() and not quiet else LogProgress(stop)
