"""The running schedule: APScheduler starts the jobs, and a file keeps when each was due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from kbsync.config.schedule import SYNC
from kbsync.daemon.jobs import PULL, WORK, Job
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.daemon.run_job import JobResult
from kbsync.daemon.schedule import between, trigger
from kbsync.daemon.schedule_state import AWAY, OVERRUN, MissedRuns, ScheduleFile
from kbsync.domain.errors import KbsyncError
from kbsync.ports import Clock
from kbsync.system.log import logger


class Timetable:
    """Starts each job when it is due.

    The jobs of one lane share a thread. A job never runs twice at the same time, and one run replaces several missed
    ones. For every time at which a job was due, either it ran, or a ``MissedRuns`` in ``file`` says why not.
    """

    def __init__(
        self, run: Callable[[Job], JobResult | None], file: ScheduleFile, metrics: ProcessMetrics, clock: Clock
    ) -> None:
        """Prepare the timetable; ``start`` starts it.

        Args:
            run: Runs a job once, in the thread of its lane; returns None if a requested stop ended the run early.
        """
        self.file = file
        self._run, self._metrics, self._clock = run, metrics, clock
        self._jobs: dict[str, Job] = {}
        # `next_run_time` is read from these handles: `scheduler.get_job` takes the scheduler's lock, and would deadlock
        # with a shutdown that waits for the very job that asks.
        self._handles: dict[str, Any] = {}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={lane: ThreadPoolExecutor(1) for lane in (WORK, PULL)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self, jobs: Sequence[Job]) -> None:
        """Run ``sync`` at once, and every other job at its next time, or at once if it missed one."""
        self._scheduler.add_listener(self._on_due, EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES)
        state = self.file.read()
        for job in jobs:
            record = state.jobs.get(job.name)
            late = record is not None and between(job.when, record.due, self._clock.now(), job.jitter)
            self._add(job, at_once=job.name == SYNC or bool(late))
        self._scheduler.start()

    def change(self, jobs: Sequence[Job]) -> None:
        """Take another schedule; a running job is not ended."""
        for name in self._jobs.keys() - {job.name for job in jobs}:
            self._scheduler.remove_job(name)
            del self._jobs[name]
        for job in jobs:
            old = self._jobs.get(job.name)
            if old is None or old.lane != job.lane:
                if old is not None:
                    self._scheduler.remove_job(job.name)
                self._add(job, at_once=False)
            elif old != job:
                self._jobs[job.name] = job
                self._scheduler.reschedule_job(job.name, trigger=_trigger(job))

    def start_now(self, name: str) -> None:
        """Start the next run of a job at once."""
        self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def upcoming(self, lane: str) -> tuple[str, datetime | None]:
        """The name of the lane's next job, and when it is due; an empty name and None if there is none."""
        due = [
            (at, name)
            for name, job in list(self._jobs.items())
            if job.lane == lane and (at := self._handles[name].next_run_time)
        ]
        at, name = min(due, default=(None, ""))
        return name, at

    def end(self) -> None:
        """Start no further job, and wait for the running ones."""
        self._scheduler.shutdown(wait=True)

    def _add(self, job: Job, *, at_once: bool) -> None:
        self._jobs[job.name] = job
        first: dict[str, Any] = {"next_run_time": datetime.now(UTC)} if at_once else {}
        self._handles[job.name] = self._scheduler.add_job(
            self._run_by_name, _trigger(job), args=[job.name], id=job.name, executor=job.lane, **first
        )

    def _run_by_name(self, name: str) -> None:
        job = self._jobs.get(name)
        result = self._run(job) if job else None
        if result is not None:
            self._write(lambda: self.file.ended(name, result.outcome, self._clock.now()))

    def _on_due(self, event: JobSubmissionEvent) -> None:
        """Is called in the scheduler's thread for every time at which a job was due."""
        job = self._jobs.get(event.job_id)
        if job is not None:
            at = event.scheduled_run_times[-1]
            self._write(lambda: self._account(job, at, skipped=event.code == EVENT_JOB_MAX_INSTANCES))

    def _account(self, job: Job, at: datetime, *, skipped: bool) -> None:
        """Record that the job was due at ``at``, and which runs it missed before."""
        record = self.file.read().jobs.get(job.name)
        missed = []
        if record is not None and (times := between(job.when, record.due, at, job.jitter)):
            missed.append(MissedRuns(job=job.name, times=len(times), first=times[0], last=times[-1], reason=AWAY))
        if skipped:
            missed.append(MissedRuns(job=job.name, times=1, first=at, last=at, reason=OVERRUN))
        # The log comes first: after a kill between the two, a start in the log is also recorded as missed, but no due
        # time is lost.
        if not skipped:
            logger().info("job started", job=job.name, due=at.isoformat(timespec="seconds"))
        self.file.due(job.name, at, missed)
        for runs in missed:
            self._metrics.runs_missed(job.name, runs.times)
            logger().warning(
                "tick skipped" if runs.reason == OVERRUN else "schedule missed",
                job=job.name,
                times=runs.times,
                first=runs.first.isoformat(timespec="seconds"),
                last=runs.last.isoformat(timespec="seconds"),
                reason=runs.reason,
            )

    def _write(self, change: Callable[[], None]) -> None:
        """Change the file; an error is only logged, because the file is for people and a full disk must not stop the
        jobs."""
        try:
            change()
        except (OSError, KbsyncError) as error:
            logger().error(
                "schedule not recorded", error=str(error), kept="The schedule goes on; the log has the times."
            )


def _trigger(job: Job) -> BaseTrigger:
    return trigger(job.when, job.jitter)
