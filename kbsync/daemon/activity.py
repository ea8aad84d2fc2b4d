"""What the daemon is doing now: the threads that run jobs write it; status page, metrics and systemd read it."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from datetime import datetime

from kbsync.daemon.metrics import ProcessMetrics
from kbsync.ports import Clock
from kbsync.views.progress import LogProgress, Step

IDLE, RUNNING = "idle", "running"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityView:
    """What one lane does."""

    state: str = IDLE
    """``idle`` or ``running``."""
    job: str | None = None
    """The job that runs, or ran last."""
    since: datetime | None = None
    """When the state began."""
    step: str | None = None
    """The step of the running job."""
    done: int = 0
    """Number of items of the step that are done."""
    total: int | None = None
    """Number of items of the step; None if it is not known."""
    last: str | None = None
    """How the last job ended."""
    last_at: datetime | None = None
    next_at: datetime | None = None
    """When ``next_job`` is due."""
    next_job: str | None = None


class Activity:
    """What one lane is doing. Any thread may read ``view`` while another one writes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._view = ActivityView()

    @property
    def view(self) -> ActivityView:
        """The state at this moment; it does not change later."""
        return self._view

    def began(self, job: str) -> None:
        """Note that a job began."""
        self._set(state=RUNNING, job=job, since=self._clock.now(), step=None, done=0, total=None)

    def moved(self, step: Step) -> None:
        """Note the step that the running job has reached."""
        self._set(step=step.name, done=step.done, total=step.total)

    def ended(self, message: str) -> None:
        """Note that the job has ended; ``message`` says how."""
        now = self._clock.now()
        self._set(state=IDLE, since=now, step=None, done=0, total=None, last=message, last_at=now)

    def scheduled(self, at: datetime | None, job: str) -> None:
        """Note when the next job is due; None: there is none."""
        self._set(next_at=at, next_job=job)

    def _set(self, **changes: object) -> None:
        with self._lock:
            self._view = replace(self._view, **changes)  # type: ignore[arg-type]


class WatchedProgress(LogProgress):
    """Logs and measures each step that ends, and shows the one that is running in an ``Activity``."""

    def __init__(self, activity: Activity, metrics: ProcessMetrics) -> None:
        super().__init__()
        self._activity, self._metrics = activity, metrics

    def _began(self, step: Step) -> None:
        self._activity.moved(step)

    def _moved(self, step: Step) -> None:
        self._activity.moved(step)

    def _ended(self, step: Step, note: str) -> None:
        super()._ended(step, note)
        if step.total != 0:
            self._metrics.step_ended(step.name, step.seconds)
