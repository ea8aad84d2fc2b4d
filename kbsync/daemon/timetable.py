"""The running schedule: APScheduler behind what the daemon needs of it, and the register of what was due."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_SUBMITTED, JobSubmissionEvent
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from kbsync.config.schedule import SYNC
from kbsync.daemon.jobs import PULL, WORK, Job
from kbsync.daemon.metrics import Recorder
from kbsync.daemon.run_job import Ended
from kbsync.daemon.schedule import Paced, Tempo, between, trigger
from kbsync.daemon.schedule_state import AWAY, OVERRUN, Gap, Register
from kbsync.domain.errors import KbsyncError
from kbsync.ports import Clock
from kbsync.system.log import logger


class Timetable:
    """``do`` runs a job in the thread of its lane; a job never runs twice at once, and what piles up runs once.

    Every time at which a job was due is accounted for: it ran, or a ``Gap`` says why not.
    """

    def __init__(
        self, do: Callable[[Job], Ended | None], register: Register, recorder: Recorder, clock: Clock, tempo: Tempo
    ) -> None:
        self.register = register
        self._do, self._recorder, self._clock, self._tempo = do, recorder, clock, tempo
        self._jobs: dict[str, Job] = {}
        # A job itself tells when it is next: asking the scheduler would wait for a shutdown that waits for the job.
        self._handles: dict[str, Any] = {}
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={lane: ThreadPoolExecutor(1) for lane in (WORK, PULL)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self, jobs: Sequence[Job]) -> None:
        """``sync`` begins at once, every other job at its next time, or at once where it missed one."""
        self._scheduler.add_listener(self._submitted, EVENT_JOB_SUBMITTED | EVENT_JOB_MAX_INSTANCES)
        book = self.register.read()
        for job in jobs:
            known = book.jobs.get(job.name)
            late = known is not None and between(job.when, known.due, self._clock.now(), job.jitter)
            self._add(job, at_once=job.name == SYNC or bool(late))
        self._scheduler.start()

    def change(self, jobs: Sequence[Job]) -> None:
        """Take another schedule; a job that runs goes on."""
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
                self._scheduler.reschedule_job(job.name, trigger=self._trigger(job))

    def start_now(self, name: str) -> None:
        self._scheduler.modify_job(name, next_run_time=datetime.now(UTC))

    def upcoming(self, lane: str) -> tuple[str, datetime | None]:
        """The next job of a lane, and when, in the schedule's time."""
        found = [
            (at, name)
            for name, job in list(self._jobs.items())
            if job.lane == lane and (at := self._handles[name].next_run_time)
        ]
        at, name = min(found, default=(None, ""))
        return name, self._tempo.scheduled(at) if at else None

    def end(self) -> None:
        """Start nothing more, and wait for what runs."""
        self._scheduler.shutdown(wait=True)

    def _add(self, job: Job, *, at_once: bool) -> None:
        self._jobs[job.name] = job
        first: dict[str, Any] = {"next_run_time": datetime.now(UTC)} if at_once else {}
        self._handles[job.name] = self._scheduler.add_job(
            self._run, self._trigger(job), args=[job.name], id=job.name, executor=job.lane, **first
        )

    def _trigger(self, job: Job) -> Paced:
        return Paced(trigger(job.when, job.jitter), self._tempo)

    def _run(self, name: str) -> None:
        job = self._jobs.get(name)
        ended = self._do(job) if job else None
        if ended is not None:
            self._note(lambda: self.register.ended(name, ended.outcome, self._clock.now()))

    def _submitted(self, event: JobSubmissionEvent) -> None:
        """In the scheduler's thread, for every time at which a job was due."""
        job = self._jobs.get(event.job_id)
        if job is not None:
            at = self._tempo.scheduled(event.scheduled_run_times[-1])
            self._note(lambda: self._account(job, at, skipped=event.code == EVENT_JOB_MAX_INSTANCES))

    def _account(self, job: Job, at: datetime, *, skipped: bool) -> None:
        known = self.register.read().jobs.get(job.name)
        gaps = []
        if known is not None and (missed := between(job.when, known.due, at, job.jitter)):
            gaps.append(Gap(job=job.name, times=len(missed), first=missed[0], last=missed[-1], reason=AWAY))
        if skipped:
            gaps.append(Gap(job=job.name, times=1, first=at, last=at, reason=OVERRUN))
        # The log first: a kill in between leaves a start that is also on record as missed, and never one that is on none.
        if not skipped:
            logger().info("job started", job=job.name, due=at.isoformat(timespec="seconds"))
        self.register.due(job.name, at, gaps)
        for gap in gaps:
            self._recorder.missed(job.name, gap.times)
            logger().warning(
                "tick skipped" if gap.reason == OVERRUN else "schedule missed",
                job=job.name,
                times=gap.times,
                first=gap.first.isoformat(timespec="seconds"),
                last=gap.last.isoformat(timespec="seconds"),
                reason=gap.reason,
            )

    def _note(self, write: Callable[[], None]) -> None:
        """The register serves people; a full disk there must not stop the schedule."""
        try:
            write()
        except (OSError, KbsyncError) as error:
            logger().error(
                "register not written", error=str(error), kept="The schedule goes on; the log has the times."
            )
