"""The daemon over the small world: its configuration, what it logged and counted, and one cycle in this process."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from kbsync.config import Configuration, load_all
from kbsync.daemon import daemon, jobs, model_cache
from kbsync.daemon.activity import Activity
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.daemon.model_cache import ModelCache
from kbsync.daemon.run_job import run_job
from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.release.promote import current_number
from kbsync.system import log
from kbsync.system.stop_request import StopRequest
from tests.support.sqlite_ledger import empty_ledger
from tests.support.stage_world import World, make_world
from tests.support.world_app import MAIN, app_of, write_configuration


@dataclass
class Service:
    world: World
    configuration: Configuration
    stream: io.StringIO
    metrics: ProcessMetrics

    def cycle(self) -> str:
        job = jobs.jobs(self.configuration)[0]
        activity, cache = Activity(self.world.clock), ModelCache()
        return run_job(job, self.configuration, StopRequest(), activity, self.metrics, cache).message

    def logged(self, event: str) -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in self.stream.getvalue().splitlines()]
        return [line for line in lines if line["event"] == event]

    def count(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(name, labels)

    @property
    def current(self) -> int:
        with self.world.ledger.read() as tx:
            return current_number(tx)


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    config = write_configuration(tmp_path, MAIN + '[schedule]\nsync = "1s"\njitter = "0s"\n')
    ledger = SqlLedger(empty_ledger(tmp_path / "state" / "ledger.sqlite3"))
    world = make_world(ledger)
    monkeypatch.setattr(daemon, "App", app_of(world))
    monkeypatch.setattr(model_cache, "App", app_of(world))
    stream = io.StringIO()
    log.set_up("json", "info", stream)
    yield Service(world, load_all(config), stream, ProcessMetrics())
    ledger.close()
    structlog.reset_defaults()
