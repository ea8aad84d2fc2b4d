"""What this process is doing at the moment: written by the working thread, read by status page, metrics and systemd."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime

from kbsync.daemon.metrics import Recorder
from kbsync.ports import Clock
from kbsync.views.progress import LogProgress, Step

IDLE, RUNNING = "idle", "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityView:
    """``step`` of ``job`` with ``done`` of ``total`` items while one runs (total null: not known); ``last`` says how the
    job that ended at ``last_at`` went; ``next_at`` is when the schedule starts ``next_job``."""

    state: str = IDLE
    job: str | None = None
    since: datetime | None = None
    step: str | None = None
    done: int = 0
    total: int | None = None
    last: str | None = None
    last_at: datetime | None = None
    next_at: datetime | None = None
    next_job: str | None = None


class Activity:
    """The one changing value; every look gets a frozen picture of it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._view = ActivityView()

    @property
    def view(self) -> ActivityView:
        return self._view

    def began(self, job: str) -> None:
        self._set(state=RUNNING, job=job, since=self._clock.now(), step=None, done=0, total=None)

    def moved(self, step: Step) -> None:
        self._set(step=step.name, done=step.done, total=step.total)

    def ended(self, outcome: str) -> None:
        now = self._clock.now()
        self._set(state=IDLE, since=now, step=None, done=0, total=None, last=outcome, last_at=now)

    def scheduled(self, at: datetime | None, job: str) -> None:
        self._set(next_at=at, next_job=job)

    def _set(self, **changes: object) -> None:
        with self._lock:
            self._view = replace(self._view, **changes)  # type: ignore[arg-type]


class WatchedProgress(LogProgress):
    """Logs what has ended, and shows and measures what runs."""

    def __init__(self, activity: Activity, recorder: Recorder) -> None:
        super().__init__()
        self._activity, self._recorder = activity, recorder

    def _began(self, step: Step) -> None:
        self._activity.moved(step)

    def _moved(self, step: Step) -> None:
        self._activity.moved(step)

    def _ended(self, step: Step, note: str) -> None:
        super()._ended(step, note)
        if step.total != 0:
            self._recorder.stage(step.name, step.seconds)
