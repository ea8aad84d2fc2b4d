"""Progress bars on a terminal's stderr."""

from __future__ import annotations

import sys
from functools import partial

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bars

from kbsync.cli.command import Options
from kbsync.operations.stop import check_stop
from kbsync.ports import Progress, Work
from kbsync.system.stop_request import StopRequest
from kbsync.views.progress import LogProgress, Step, StepProgress


class BarProgress(StepProgress):
    """A bar while a step runs, and one line with its seconds when it has ended."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._console = console or Console(stderr=True, markup=False, highlight=False)
        self._bars: Bars | None = None
        self._task = TaskID(0)

    def abandon(self) -> None:
        super().abandon()
        if self._bars:
            self._bars.stop()
            self._bars = None

    def _began(self, step: Step) -> None:
        name = TextColumn("{task.description}", markup=False)
        columns = (name, BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
        self._bars = Bars(*columns, console=self._console, transient=True)
        self._task = self._bars.add_task(step.name, total=step.total)
        self._bars.start()

    def _moved(self, step: Step) -> None:
        if self._bars:
            self._bars.update(self._task, total=step.total, completed=step.done)

    def _ended(self, step: Step, note: str) -> None:
        self.abandon()
        if step.total == 0:
            return
        items = f"{step.done} items, " if step.done else ""
        self._console.print(f"{step.name}: {items}{step.seconds:.1f} s{f', {note}' if note else ''}", style="dim")


def work_for(stop: StopRequest, asked: Options) -> Work:
    """The work of one command: shown as its options say, and stopped when ``stop`` is requested."""
    return Work(progress_for(asked), [partial(check_stop, stop)])


def progress_for(asked: Options) -> Progress:
    """Bars on a terminal, else a log line for each finished step (which ``--quiet`` suppresses); measured by
    ``--profile``."""
    shown = BarProgress() if sys.stderr.isatty() and not asked.quiet else LogProgress()
    return shown if asked.profile is None else asked.profile.watching(shown)
