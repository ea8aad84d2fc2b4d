"""The daemon's jobs, ``sync`` and those that the configuration adds, and the stage that each of them runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta

from kbsync.bootstrap import App
from kbsync.config import Configuration
from kbsync.config.schedule import SYNC
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.operations.check_served import check, configured_server
from kbsync.operations.gc import gc
from kbsync.stages.cycle import CycleResult, sync
from kbsync.system.log import logger

ACTOR = "daemon"
"""Who acts, for the audit trail."""
WORK, PULL = "work", "pull"
"""The two lanes, each of which runs one job at a time: ``work`` for jobs that need the model or the writer's lease,
``pull`` for pulls, which need neither."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One line of the schedule."""

    name: str
    stage: str
    """``sync``, or a single stage such as ``pull``."""
    when: str
    """An interval, or a cron line in UTC."""
    jitter: timedelta
    """The longest random delay of a start."""
    deadline: timedelta
    """The longest time that a run may take before it is ended."""
    relations: tuple[str, ...] = ()
    """Names of the only relations that it works on; empty: all."""

    @property
    def lane(self) -> str:
        """``work`` or ``pull``."""
        return PULL if self.stage == "pull" else WORK


def jobs(configuration: Configuration) -> tuple[Job, ...]:
    """All jobs of a configuration, ``sync`` first."""
    schedule = configuration.settings.schedule
    first = Job(name=SYNC, stage=SYNC, when=schedule.sync, jitter=schedule.jitter, deadline=schedule.deadline)
    more = (
        Job(
            name=name,
            stage=its.stage,
            when=its.when,
            jitter=schedule.jitter if its.jitter is None else its.jitter,
            deadline=its.deadline or schedule.deadline,
            relations=its.relations,
        )
        for name, its in schedule.jobs.items()
    )
    return (first, *more)


def run_stage(job: Job, app: App, metrics: ProcessMetrics) -> str:
    """Run the job's stage and log its result.

    Returns:
        The outcome in one to three words.
    """
    return _STAGES[job.stage](job, app, metrics)


def _sync(_job: Job, app: App, metrics: ProcessMetrics) -> str:
    with app.writer() as writer:
        result = sync(writer, app.stages)
    _log_cycle(result)
    if result.evaluation is not None:
        changes = (entry.change.value for entry in result.planned.plan.changes)
        metrics.version_built(changes, passed=result.evaluation.decision.passed)
    return result.outcome.value


def _pull(job: Job, app: App, _metrics: ProcessMetrics) -> str:
    with app.puller() as run:
        result = app.stages.pull(run, group=app.group(job.relations) if job.relations else None)
    logger().info(
        "pull ended",
        job=job.name,
        watched=result.watched,
        fetched=result.fetched,
        believed=result.believed,
        waiting=result.waiting,
        unasked=result.unasked,
    )
    return "nothing to do" if result.nothing_new else "pulled"


def _probe(job: Job, app: App, _metrics: ProcessMetrics) -> str:
    group = app.group(job.relations) if job.relations else None
    with app.writer() as writer:
        result = app.stages.probe(writer, group=group)
    logger().info("probe ended", job=job.name, asked=result.asked)
    return "probed" if result.asked else "nothing to do"


def _gc(job: Job, app: App, _metrics: ProcessMetrics) -> str:
    result = gc(app, app.settings.retention.policy, dry_run=False)
    logger().info("gc ended", job=job.name, removed=result.removed, bytes=result.bytes)
    return "removed" if result.removed else "nothing to do"


def _canary(job: Job, app: App, _metrics: ProcessMetrics) -> str:
    with app.writer() as writer:
        result = app.stages.canary(writer)
    lost = len(result.lost)
    if result.rolled_back_to is not None:
        logger().error("canaries fell", job=job.name, version=result.version, reason=result.reason, lost=lost)
        return "rolled back"
    logger().info("canaries asked", job=job.name, version=result.version, asked=result.asked, lost=lost)
    return "asked" if result.asked else "nothing to do"


def _check_served(job: Job, app: App, metrics: ProcessMetrics) -> str:
    result = check(app, configured_server(app), sample=app.settings.served.sample)
    if not result.version:
        return "nothing to do"
    figures = {figure.name: figure.served for figure in result.figures}
    metrics.served_checked(result.version, figures, lost=len(result.lost), holds=result.decision.passed)
    lost = [f"{fact.subject} {fact.property}" for fact in result.lost]
    if not result.decision.passed:
        reasons = [reason.text for reason in result.decision.refusals]
        logger().error(
            "served badly", job=job.name, version=result.version, reasons=reasons, finding=result.finding, lost=lost
        )
        return "served badly"
    logger().info("served well", job=job.name, version=result.version, asked=result.asked, lost=lost)
    return "served well"


def _notify(job: Job, app: App, _metrics: ProcessMetrics) -> str:
    result = app.notify()
    if result.waiting:
        logger().warning("notifiers not reached", job=job.name, waiting=result.waiting)
        return "not reached"
    logger().info("notifiers told", job=job.name, delivered=result.delivered, given_up=result.given_up)
    return "told" if result.delivered else "nothing to do"


def _log_cycle(result: CycleResult) -> None:
    logger().info(
        "cycle ended",
        outcome=result.outcome.value,
        reason=result.reason,
        fetched=result.pulled.fetched,
        believed=result.pulled.believed,
        unasked=result.pulled.unasked,
        asked=result.probed.asked,
        changes=len(result.planned.plan.changes),
        version=result.version.number if result.version else None,
    )


_STAGES: Mapping[str, Callable[[Job, App, ProcessMetrics], str]] = {
    SYNC: _sync,
    "pull": _pull,
    "probe": _probe,
    "gc": _gc,
    "canary": _canary,
    "check-served": _check_served,
    "notify": _notify,
}
