"""What this process is doing at the moment: the working thread writes it; status page, metrics and systemd read it."""

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
    """Since when the state lasts."""
    step: str | None = None
    """The step of the running job."""
    done: int = 0
    """Number of its items that are done."""
    total: int | None = None
    """Number of its items; None where that is unknown."""
    last: str | None = None
    """How the last job ended."""
    last_at: datetime | None = None
    next_at: datetime | None = None
    """When the schedule starts ``next_job``."""
    next_job: str | None = None


class Activity:
    """What one lane does now. Threads may read ``view`` while another one writes."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._view = ActivityView()

    @property
    def view(self) -> ActivityView:
        """A frozen picture of this moment."""
        return self._view

    def began(self, job: str) -> None:
        """A job runs."""
        self._set(state=RUNNING, job=job, since=self._clock.now(), step=None, done=0, total=None)

    def moved(self, step: Step) -> None:
        """The running job is at this step."""
        self._set(step=step.name, done=step.done, total=step.total)

    def ended(self, message: str) -> None:
        """The job has ended; ``message`` says how."""
        now = self._clock.now()
        self._set(state=IDLE, since=now, step=None, done=0, total=None, last=message, last_at=now)

    def scheduled(self, at: datetime | None, job: str) -> None:
        """The next job is due at ``at``; None: there is none."""
        self._set(next_at=at, next_job=job)

    def _set(self, **changes: object) -> None:
        with self._lock:
            self._view = replace(self._view, **changes)  # type: ignore[arg-type]


class WatchedProgress(LogProgress):
    """Logs and measures the steps that have ended, and shows the one that runs."""

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
