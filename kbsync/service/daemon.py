"""The daemon: one ``sync`` at start and at every tick of the schedule, one at a time.

The schedule lives in memory and the state in the ledger, so a restart loses nothing. The lease keeps a daemon, a cron
job and a person apart; whoever comes second is refused and comes again.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler

from kbsync.bootstrap import App
from kbsync.config import Configuration
from kbsync.domain.errors import Busy, KbsyncError, Stopped
from kbsync.service.log import logger
from kbsync.service.notify import notify
from kbsync.service.progress import LogProgress
from kbsync.service.schedule import trigger
from kbsync.service.stop import Stop, on_signals
from kbsync.stages.cycle import CycleResult, sync

ACTOR = "daemon"


def serve(configuration: Configuration) -> None:
    """Run until SIGTERM or SIGINT, then abandon the running stage where that is safe, and return.

    Raises at once what no later tick can heal: ``SchemaError``, and ``StoreError`` for a ledger that can't be opened.
    """
    with on_signals(Stop()) as stop:
        _check(configuration, stop)
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={"default": ThreadPoolExecutor(1)},
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )
        # The job itself tells when it is next: asking the scheduler would wait for a shutdown that waits for the job.
        job = scheduler.add_job(
            lambda: _tick(configuration, stop, lambda: job.next_run_time),
            trigger(configuration.settings.schedule),
            next_run_time=datetime.now(UTC),
        )
        scheduler.start()
        logger().info("daemon started", schedule=configuration.settings.schedule.sync)
        notify("READY=1", "STATUS=running the first cycle")
        try:
            stop.wait()
        finally:
            notify("STOPPING=1", "STATUS=stopping")
            logger().info("daemon stopping")
            scheduler.shutdown(wait=True)
        logger().info("daemon stopped")


def _check(configuration: Configuration, stop: Stop) -> None:
    app = App(configuration, actor=ACTOR, progress=LogProgress(stop))
    try:
        with app.ledger.read() as tx:
            tx.audit_head()
    finally:
        app.close()


def _tick(configuration: Configuration, stop: Stop, upcoming: Callable[[], datetime | None]) -> None:
    started = time.monotonic()
    said = run_cycle(configuration, stop)
    # The model is let go between cycles: hours of idle gigabytes cost more than the seconds that loading takes.
    # Modules and their hooks refer to each other, so only the collector frees them.
    gc.collect()
    if stop.requested:
        return
    at = upcoming()
    when = f"{at:%Y-%m-%d %H:%M:%S} UTC" if at else "never"
    logger().info("waiting", last=said, seconds=round(time.monotonic() - started, 3), next=when)
    notify(f"STATUS={said}; next cycle at {when}")


def run_cycle(configuration: Configuration, stop: Stop) -> str:
    """One cycle; says how it ended in a few words, and raises nothing: the next tick tries again."""
    app = App(configuration, actor=ACTOR, progress=LogProgress(stop))
    try:
        with app.writer() as writer:
            result = sync(writer, app.parts())
    except Stopped as error:
        logger().info("cycle stopped", reason=error.what, kept=error.kept)
        return "stopped"
    except Busy as error:
        logger().info("cycle skipped", reason=error.what)
        return "skipped: another process is writing"
    except KbsyncError as error:
        log = logger().warning if error.transient else logger().error
        log("cycle failed", error=error.what, kept=error.kept, next_step=error.next_step, transient=error.transient)
        return f"failed: {error.what}"
    except Exception:
        logger().exception("cycle failed")
        return "failed: unexpected error"
    finally:
        app.close()
    return _told(result)


def _told(result: CycleResult) -> str:
    logger().info(
        "cycle ended",
        outcome=result.outcome.value,
        reason=result.reason,
        fetched=result.pulled.fetched,
        believed=result.pulled.believed,
        asked=result.probed.asked,
        changes=len(result.planned.plan.changes),
        version=result.version.number if result.version else None,
    )
    return result.outcome.value
