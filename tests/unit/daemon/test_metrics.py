"""Metrics of the process, and those that are read from the ledger at each scrape."""

from __future__ import annotations

import math

import pytest
from prometheus_client import CollectorRegistry

import kbsync
from kbsync.daemon.metrics import LedgerCollector, ProcessMetrics
from kbsync.domain.errors import SourceDown, StoreError
from kbsync.views.status import Snapshot, snapshot
from tests.support.stage_world import World


def test_a_good_end_moves_the_time_of_the_last_success_and_a_bad_one_does_not() -> None:
    metrics = ProcessMetrics()
    value = metrics.registry.get_sample_value
    metrics.cycle_ended("failed", 3.0, ok=False)
    metrics.job_ended("sync", "failed", ok=False)
    assert (value("kbsync_last_cycle_timestamp_seconds") or 0.0) > 0
    assert value("kbsync_last_success_timestamp_seconds") == 0
    assert value("kbsync_job_last_success_timestamp_seconds", {"job": "sync"}) is None
    metrics.cycle_ended("promoted", 5.0, ok=True)
    metrics.job_ended("sync", "promoted", ok=True)
    assert (value("kbsync_last_success_timestamp_seconds") or 0.0) > 0
    assert (value("kbsync_job_last_success_timestamp_seconds", {"job": "sync"}) or 0.0) > 0
    assert (
        value("kbsync_cycles_total", {"outcome": "promoted"})
        == value("kbsync_cycles_total", {"outcome": "failed"})
        == 1
    )
    assert value("kbsync_cycle_seconds_sum") == 8.0
    assert value("kbsync_job_runs_total", {"job": "sync", "outcome": "promoted"}) == 1


@pytest.mark.parametrize(
    ("error", "kind", "transient"),
    [
        (SourceDown("It is down."), "SourceDown", "true"),
        (StoreError("It is full."), "StoreError", "false"),
        (RuntimeError("boom"), "RuntimeError", "false"),
    ],
)
def test_errors_are_counted_by_kind(error: Exception, kind: str, transient: str) -> None:
    metrics = ProcessMetrics()
    metrics.failed(error)
    assert metrics.registry.get_sample_value("kbsync_errors_total", {"kind": kind, "transient": transient}) == 1


def test_what_was_missed_heard_built_and_reloaded_is_counted() -> None:
    metrics = ProcessMetrics()
    value = metrics.registry.get_sample_value
    metrics.runs_missed("offices", 3)
    metrics.runs_missed("offices", 1)
    metrics.changes_heard(2, 1.5)
    metrics.version_built(["add", "add", "retract"], passed=False)
    metrics.configuration_reloaded(accepted=True)
    metrics.step_ended("probe", 2.5)
    assert value("kbsync_schedule_missed_total", {"job": "offices"}) == 4
    assert (value("kbsync_heard_items_total"), value("kbsync_heard_delay_seconds_sum")) == (2, 1.5)
    assert value("kbsync_edits_total", {"change": "add"}) == 2
    assert value("kbsync_gate_decisions_total", {"decision": "refused"}) == 1
    assert value("kbsync_config_reloads_total", {"result": "accepted"}) == 1
    assert value("kbsync_stage_seconds_sum", {"stage": "probe"}) == 2.5


@pytest.mark.slow
def test_the_ledger_is_read_at_each_scrape_and_not_before(world: World) -> None:
    looks: list[Snapshot] = []

    def read() -> Snapshot:
        with world.ledger.read() as tx:
            looks.append(snapshot(tx, world.relations, world.clock.now()))
        return looks[-1]

    registry = CollectorRegistry()
    registry.register(LedgerCollector(read))
    assert looks == []
    assert registry.get_sample_value("kbsync_version_current") == 0
    assert registry.get_sample_value("kbsync_gate_passed") is None, "nothing was measured"
    world.sync()
    assert registry.get_sample_value("kbsync_version_current") == 1
    assert registry.get_sample_value("kbsync_gate_passed") == 1
    assert registry.get_sample_value("kbsync_versions", {"state": "promoted"}) == 1
    assert registry.get_sample_value("kbsync_facts", {"relation": "capital", "verdict": "current"}) == 3
    figure = registry.get_sample_value("kbsync_gate_figure", {"metric": "perplexity", "of": "base"})
    assert figure is not None and math.isfinite(figure)


def test_a_ledger_that_can_not_be_read_is_said_and_nothing_else() -> None:
    def fail() -> Snapshot:
        raise StoreError("It is gone.")

    registry = CollectorRegistry()
    registry.register(LedgerCollector(fail))
    samples = {s.name: s.value for family in registry.collect() for s in family.samples}
    assert samples == {"kbsync_build_info": 1, "kbsync_ledger_up": 0}
    assert registry.get_sample_value("kbsync_build_info", {"version": kbsync.__version__}) == 1
