"""One cycle of the daemon: run, measured, and told; whatever goes wrong, the next tick tries again."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from kbsync.bootstrap import App
from kbsync.config import Configuration
from kbsync.domain.errors import Busy, KbsyncError, Stopped
from kbsync.service.activity import Activity, WatchedProgress
from kbsync.service.log import logger
from kbsync.service.metrics import Recorder
from kbsync.service.stop import Deadline, Stop
from kbsync.stages.cycle import CycleResult, sync

ACTOR = "daemon"


@dataclass(frozen=True, slots=True)
class Ended:
    """``outcome`` is a metric's label, ``said`` the same in a few words for people; ``good``: not an error."""

    outcome: str
    said: str
    good: bool


def run_cycle(configuration: Configuration, stop: Stop, activity: Activity, recorder: Recorder) -> Ended:
    """One cycle within its deadline; raises nothing."""
    activity.began()
    started = time.monotonic()
    deadline = Deadline(stop, configuration.settings.schedule.deadline)
    ended = _guarded(
        lambda: _run(configuration, WatchedProgress(deadline, activity, recorder), recorder), deadline, recorder
    )
    # The model is let go between cycles: hours of idle gigabytes cost more than the seconds that loading takes.
    # Modules and their hooks refer to each other, so only the collector frees them.
    gc.collect()
    recorder.cycle(ended.outcome, time.monotonic() - started, good=ended.good)
    activity.ended(ended.said)
    return ended


def _run(configuration: Configuration, progress: WatchedProgress, recorder: Recorder) -> CycleResult:
    app = App(configuration, actor=ACTOR, progress=progress)
    try:
        with app.writer() as writer:
            result = sync(writer, app.parts())
    finally:
        app.close()
    _tell(result)
    if result.evaluation is not None:
        changes = (entry.change.value for entry in result.planned.plan.changes)
        recorder.built(changes, passed=result.evaluation.decision.passed)
    return result


def _guarded(run: Callable[[], CycleResult], deadline: Deadline, recorder: Recorder) -> Ended:
    try:
        result = run()
    except Stopped as error:
        if deadline.overdue:
            recorder.error(error)
            logger().warning("cycle overdue", reason=error.what, kept=error.kept, next_step=error.next_step)
            return Ended("overdue", "abandoned at its deadline", good=False)
        logger().info("cycle stopped", reason=error.what, kept=error.kept)
        return Ended("stopped", "stopped", good=True)
    except Busy as error:
        logger().info("cycle skipped", reason=error.what)
        return Ended("skipped", "skipped: another process is writing", good=True)
    except KbsyncError as error:
        recorder.error(error)
        log = logger().warning if error.transient else logger().error
        log("cycle failed", error=error.what, kept=error.kept, next_step=error.next_step, transient=error.transient)
        return Ended("failed", f"failed: {error.what}", good=False)
    except Exception as error:
        recorder.error(error)
        logger().exception("cycle failed")
        return Ended("failed", "failed: unexpected error", good=False)
    return Ended(result.outcome.value, result.outcome.value, good=True)


def _tell(result: CycleResult) -> None:
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
