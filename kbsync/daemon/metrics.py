"""Metrics for Prometheus: what the ledger says when it is scraped, and what this process has done.

The first kind holds for cycles of any process (daemon, cron, a person); the second starts at 0 in each process.
Names and labels are a contract, listed in docs/reference/status-page.md.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Callable, Iterable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

import kbsync
from kbsync.domain.errors import KbsyncError
from kbsync.views.status import Snapshot, StatusView, VersionsView

CYCLE_BUCKETS = (10, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 86400)
STAGE_BUCKETS = (1, 5, 15, 60, 300, 900, 3600, 14400)
DELAY_BUCKETS = (1, 2, 5, 10, 30, 60, 300, 1800)


class ProcessMetrics:
    """What this process has done."""

    def __init__(self) -> None:
        at = self.registry = CollectorRegistry()
        ProcessCollector(registry=at)
        self._cycles = Counter("kbsync_cycles", "Cycles by how they ended.", ["outcome"], registry=at)
        self._cycle = Histogram("kbsync_cycle_seconds", "Length of a cycle.", buckets=CYCLE_BUCKETS, registry=at)
        self._stage = Histogram(
            "kbsync_stage_seconds", "Length of a step.", ["stage"], buckets=STAGE_BUCKETS, registry=at
        )
        self._errors = Counter("kbsync_errors", "Failed cycles by kind of error.", ["kind", "transient"], registry=at)
        self._edits = Counter("kbsync_edits", "Changes of facts in versions that were built.", ["change"], registry=at)
        self._gates = Counter("kbsync_gate_decisions", "Decisions of the gate.", ["decision"], registry=at)
        self._ended = Gauge("kbsync_last_cycle_timestamp_seconds", "When the last cycle ended.", registry=at)
        self._good = Gauge(
            "kbsync_last_success_timestamp_seconds", "When the last cycle without error ended.", registry=at
        )
        self._jobs = Counter("kbsync_job_runs", "Runs of a job by how they ended.", ["job", "outcome"], registry=at)
        self._job_good = Gauge(
            "kbsync_job_last_success_timestamp_seconds", "When a job last ended without error.", ["job"], registry=at
        )
        self._missed = Counter(
            "kbsync_schedule_missed", "Times at which a job was due and did not run.", ["job"], registry=at
        )
        self._heard = Counter("kbsync_heard_items", "Items pulled because the event stream named them.", registry=at)
        self._delay = Histogram(
            "kbsync_heard_delay_seconds",
            "From the oldest event of a look until its item is in the ledger.",
            buckets=DELAY_BUCKETS,
            registry=at,
        )
        self._denied = Counter(
            "kbsync_web_denied",
            "Requests to the status page that were refused: a wrong token, a token that was not looked at because too "
            "many before it were wrong, or too many requests at once.",
            ["reason"],
            registry=at,
        )
        for reason in ("wrong", "braked", "busy"):
            self._denied.labels(reason)
        self._served = Gauge(
            "kbsync_served_figure", "The current version as the server answers.", ["metric"], registry=at
        )
        self._served_lost = Gauge(
            "kbsync_served_lost", "Prompts that the server does not answer rightly any more.", registry=at
        )
        self._served_holds = Gauge(
            "kbsync_served_holds", "Whether what the server answers passes the gate's policy.", registry=at
        )
        self._served_version = Gauge("kbsync_served_version", "The version that the server was to serve.", registry=at)
        self._reloads = Counter("kbsync_config_reloads", "Reloads of the configuration.", ["result"], registry=at)

    def step_ended(self, name: str, seconds: float) -> None:
        """Record how long a step of a stage took."""
        self._stage.labels(name).observe(seconds)

    def cycle_ended(self, outcome: str, seconds: float, *, ok: bool) -> None:
        """Record that a cycle ended.

        Args:
            ok: It ended without an error; a cycle that refuses a version is ok.
        """
        self._cycles.labels(outcome).inc()
        self._cycle.observe(seconds)
        self._ended.set_to_current_time()
        if ok:
            self._good.set_to_current_time()

    def job_ended(self, name: str, outcome: str, *, ok: bool) -> None:
        """Record that a run of a job ended; ``ok`` means the same as for a cycle."""
        self._jobs.labels(name, outcome).inc()
        if ok:
            self._job_good.labels(name).set_to_current_time()

    def runs_missed(self, name: str, times: int) -> None:
        """Record how many times a job was due and did not run."""
        self._missed.labels(name).inc(times)

    def changes_heard(self, items: int, delay: float) -> None:
        """Record that items were pulled because of the event stream, ``delay`` seconds after the oldest event."""
        self._heard.inc(items)
        self._delay.observe(delay)

    def failed(self, error: BaseException) -> None:
        """Record that a job failed; the kind of the error is its class, such as ``SourceDown``."""
        transient = error.transient if isinstance(error, KbsyncError) else False
        self._errors.labels(type(error).__name__, str(transient).lower()).inc()

    def version_built(self, changes: Iterable[str], *, passed: bool) -> None:
        """Record that a version was built and measured; ``changes`` has a word for each fact, such as ``add``."""
        for change in changes:
            self._edits.labels(change).inc()
        self._gates.labels("passed" if passed else "refused").inc()

    def request_denied(self, reason: str) -> None:
        """Record that the status page refused a request: ``wrong``, ``braked`` or ``busy``."""
        self._denied.labels(reason).inc()

    def served_checked(self, version: int, figures: Mapping[str, float], *, lost: int, holds: bool) -> None:
        """Record what the server answered.

        Args:
            version: The version that it should serve.
            figures: Shares of right answers, by the gate's names.
            lost: Number of prompts that were answered rightly when the version was measured, and are not now.
            holds: Whether the answers satisfy the gate's policy.
        """
        for name, value in figures.items():
            self._served.labels(name).set(value)
        self._served_lost.set(lost)
        self._served_holds.set(holds)
        self._served_version.set(version)

    def configuration_reloaded(self, *, accepted: bool) -> None:
        """Record that a new configuration was accepted or refused."""
        self._reloads.labels("accepted" if accepted else "refused").inc()


class LedgerCollector(Collector):
    """Reads the ledger at each scrape. If it can't be read, the only metric is ``kbsync_ledger_up 0``."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot

    def describe(self) -> Iterable[Metric]:
        """Return nothing, so that registering this collector does not read the ledger."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """Return all metrics of the ledger, and the version of kbsync."""
        yield InfoMetricFamily("kbsync_build", "The running kbsync.", {"version": kbsync.__version__})
        try:
            ledger = self._snapshot()
        except KbsyncError:
            yield _gauge("kbsync_ledger_up", "Whether the ledger can be read.", 0)
            return
        yield _gauge("kbsync_ledger_up", "Whether the ledger can be read.", 1)
        yield from _facts(ledger.status)
        yield from _versions(ledger.status, ledger.versions)


def _facts(status: StatusView) -> Iterable[Metric]:
    if status.watermark is not None:
        lag = (status.at - status.watermark).total_seconds()
        yield _gauge("kbsync_source_lag_seconds", "Time since the moment up to which the source was pulled.", lag)
    verdicts = GaugeMetricFamily("kbsync_facts", "Believed facts by verdict.", labels=["relation", "verdict"])
    waiting = GaugeMetricFamily("kbsync_facts_waiting", "Facts observed and not yet believed.", labels=["relation"])
    for relation in status.relations:
        for verdict, number in {**relation.verdicts, "unasked": relation.unasked}.items():
            verdicts.add_metric([relation.name, verdict], number)
        waiting.add_metric([relation.name], relation.waiting)
    yield verdicts
    yield waiting
    plan, current = status.plan, status.current
    done = plan is None or (current is not None and current.plan == plan.hash)
    queue = 0 if plan is None or done else plan.add + plan.change + plan.retract
    yield _gauge("kbsync_queue", "Changes of the newest plan that current does not hold.", queue)
    yield _gauge("kbsync_refusals_in_a_row", "Refused cycles since a version was promoted.", status.refusals)
    yield _gauge("kbsync_quarantined_facts", "Facts in quarantine.", len(status.quarantine))


def _versions(status: StatusView, versions: VersionsView) -> Iterable[Metric]:
    yield _gauge("kbsync_version_current", "Number of the version in use; 0: the base.", versions.current)
    newest = status.newest.number if status.newest else 0
    yield _gauge("kbsync_version_newest", "Number of the newest version.", newest)
    facts = status.current.facts if status.current else 0
    yield _gauge("kbsync_edited_facts", "Facts that the version in use holds.", facts)
    states = GaugeMetricFamily("kbsync_versions", "Versions by state.", labels=["state"])
    for state, number in sorted(Counts(v.state for v in versions.versions).items()):
        states.add_metric([state], number)
    yield states
    measured = [v for v in versions.versions if v.passed is not None]
    if not measured:
        return
    last = measured[-1]
    yield _gauge("kbsync_gate_passed", "Whether the version measured last passed the gate.", float(bool(last.passed)))
    figures = GaugeMetricFamily(
        "kbsync_gate_figure", "The version measured last, and its base.", labels=["metric", "of"]
    )
    for metric in last.metrics:
        figures.add_metric([metric.name, "version"], metric.value)
        figures.add_metric([metric.name, "base"], metric.base)
    yield figures


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)
