"""One run of a job: done within its deadline, measured, and told; whatever goes wrong, the next tick tries again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from kbsync.bootstrap import App
from kbsync.config import Configuration
from kbsync.config.schedule import SYNC
from kbsync.daemon.activity import Activity, WatchedProgress
from kbsync.daemon.jobs import WORK, Job, do
from kbsync.daemon.metrics import Recorder
from kbsync.daemon.model_cache import Idle, sweep
from kbsync.domain.errors import Busy, KbsyncError, Stopped
from kbsync.operations.stop import Deadline, check_stop
from kbsync.ports import Clock, Work
from kbsync.system.log import logger
from kbsync.system.stop_request import StopRequest

ACTOR = "daemon"


@dataclass(frozen=True, slots=True)
class Ended:
    """``outcome`` is a metric's label, ``said`` the same in a few words for people; ``good``: not an error."""

    outcome: str
    said: str
    good: bool


def workshop(clock: Clock | None = None) -> Idle:
    """Where applications for jobs come from."""

    def make(configuration: Configuration, work: Work) -> App:
        return App(configuration, actor=ACTOR, work=work, clock=clock)

    return Idle(make)


def run_job(
    job: Job, configuration: Configuration, stop: StopRequest, activity: Activity, recorder: Recorder, apps: Idle
) -> Ended:
    """One run of ``job`` within its deadline; raises nothing."""
    activity.began(job.name)
    started = time.monotonic()
    deadline = Deadline(job.deadline)
    work = Work(WatchedProgress(activity, recorder), [partial(check_stop, stop), deadline.check])
    ended = _guarded(job, lambda: _run(job, configuration, work, recorder, apps), deadline, recorder)
    if job.lane == WORK:
        # Between jobs the model is let go (at once, or after schedule.keep_model): hours of idle gigabytes cost more
        # than the seconds that loading takes.
        sweep()
    seconds = time.monotonic() - started
    recorder.job(job.name, ended.outcome, good=ended.good)
    if job.name == SYNC:
        recorder.cycle(ended.outcome, seconds, good=ended.good)
    activity.ended(ended.said)
    return ended


def _run(job: Job, configuration: Configuration, work: Work, recorder: Recorder, apps: Idle) -> str:
    app = apps.take(configuration, work)
    keep = timedelta(0)
    try:
        outcome = do(job, app, recorder)
        keep = configuration.settings.schedule.keep_model if job.lane == WORK else keep
    finally:
        # After an error nothing is kept: whatever was wrong with the application is gone with it.
        apps.give(app, keep)
    return outcome


def _guarded(job: Job, run: Callable[[], str], deadline: Deadline, recorder: Recorder) -> Ended:
    what = "cycle" if job.name == SYNC else "job"
    log = logger().bind(job=job.name)
    try:
        outcome = run()
    except Stopped as error:
        if deadline.overdue:
            recorder.error(error)
            log.warning(f"{what} overdue", reason=error.what, kept=error.kept, next_step=error.next_step)
            return Ended("overdue", "abandoned at its deadline", good=False)
        log.info(f"{what} stopped", reason=error.what, kept=error.kept)
        return Ended("stopped", "stopped", good=True)
    except Busy as error:
        log.info(f"{what} skipped", reason=error.what)
        return Ended("skipped", "skipped: another process is writing", good=True)
    except KbsyncError as error:
        recorder.error(error)
        tell = log.warning if error.transient else log.error
        tell(f"{what} failed", error=error.what, kept=error.kept, next_step=error.next_step, transient=error.transient)
        return Ended("failed", f"failed: {error.what}", good=False)
    except Exception as error:
        recorder.error(error)
        log.exception(f"{what} failed")
        return Ended("failed", "failed: unexpected error", good=False)
    return Ended(outcome, outcome, good=True)
