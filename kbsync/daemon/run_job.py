"""Runs a job once, with a deadline, metrics and log lines. An error ends that run only; the next run tries again."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from kbsync.config import Configuration
from kbsync.config.schedule import SYNC
from kbsync.daemon.activity import Activity, WatchedProgress
from kbsync.daemon.jobs import WORK, Job, run_stage
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.daemon.model_cache import ModelCache, free_models
from kbsync.domain.errors import Busy, KbsyncError, Stopped
from kbsync.operations.stop import Deadline, check_stop
from kbsync.ports import Work
from kbsync.system.log import logger
from kbsync.system.stop_request import StopRequest


@dataclass(frozen=True, slots=True)
class JobResult:
    """How a run ended."""

    outcome: str
    """One or two words; a label of the metrics."""
    message: str
    """The same for people, with the reason of a failure."""
    ok: bool
    """False after an error and after a deadline that was not met."""


def run_job(
    job: Job,
    configuration: Configuration,
    stop: StopRequest,
    activity: Activity,
    metrics: ProcessMetrics,
    cache: ModelCache,
) -> JobResult:
    """Run a job once; errors become results.

    Args:
        configuration: Of this run; the next run may have another.
        stop: Ends the run at the next safe point.
        activity: Shows what the run is doing.
        metrics: Counts the run.
        cache: Lends the application to the run.
    """
    activity.began(job.name)
    started = time.monotonic()
    deadline = Deadline(job.deadline)
    work = Work(WatchedProgress(activity, metrics), [partial(check_stop, stop), deadline.check])
    result = _guarded(job, lambda: _run(job, configuration, work, metrics, cache), deadline, metrics)
    if job.lane == WORK:
        # Keeping gigabytes for hours costs more than loading the model again, so it is freed at once, or after
        # schedule.keep_model.
        free_models()
    seconds = time.monotonic() - started
    metrics.job_ended(job.name, result.outcome, ok=result.ok)
    if job.name == SYNC:
        metrics.cycle_ended(result.outcome, seconds, ok=result.ok)
    activity.ended(result.message)
    return result


def _run(job: Job, configuration: Configuration, work: Work, metrics: ProcessMetrics, cache: ModelCache) -> str:
    app = cache.take(configuration, work)
    keep = timedelta(0)
    try:
        outcome = run_stage(job, app, metrics)
        keep = configuration.settings.schedule.keep_model if job.lane == WORK else keep
    finally:
        # After an error the application is not kept, because it may be in a bad state.
        cache.keep(app, keep)
    return outcome


def _guarded(job: Job, run: Callable[[], str], deadline: Deadline, metrics: ProcessMetrics) -> JobResult:
    """Turn an error into a result, and log it."""
    kind = "cycle" if job.name == SYNC else "job"
    log = logger().bind(job=job.name)
    try:
        outcome = run()
    except Stopped as error:
        if deadline.overdue:
            metrics.failed(error)
            log.warning(f"{kind} overdue", reason=error.what, kept=error.kept, next_step=error.next_step)
            return JobResult("overdue", "abandoned at its deadline", ok=False)
        log.info(f"{kind} stopped", reason=error.what, kept=error.kept)
        return JobResult("stopped", "stopped", ok=True)
    except Busy as error:
        log.info(f"{kind} skipped", reason=error.what)
        return JobResult("skipped", "skipped: another process is writing", ok=True)
    except KbsyncError as error:
        metrics.failed(error)
        write = log.warning if error.transient else log.error
        write(f"{kind} failed", error=error.what, kept=error.kept, next_step=error.next_step, transient=error.transient)
        return JobResult("failed", f"failed: {error.what}", ok=False)
    except Exception as error:
        metrics.failed(error)
        log.exception(f"{kind} failed")
        return JobResult("failed", "failed: unexpected error", ok=False)
    return JobResult(outcome, outcome, ok=True)
