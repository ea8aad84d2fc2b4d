"""The daemon's cycles in this process: what each kind of failure means for the next tick."""

from __future__ import annotations

import dataclasses
import io
import json
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import structlog

from kbsync.config import Configuration, WebSettings, load_all
from kbsync.daemon import daemon, jobs, model_cache
from kbsync.daemon.activity import Activity
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.daemon.model_cache import ModelCache
from kbsync.daemon.run_job import run_job
from kbsync.domain.errors import SchemaError, SourceDown, SourceError
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import Work
from kbsync.stages.release.promote import current_number
from kbsync.stages.session import Run, writer
from kbsync.system import log
from kbsync.system.stop_request import StopRequest
from kbsync.web.daemon_page import daemon_page
from tests.support.stage_world import TTL, World, make_world
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
    url = f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite3'}"
    schema.upgrade(url)
    ledger = SqlLedger(url)
    world = make_world(ledger)
    monkeypatch.setattr(daemon, "App", app_of(world))
    monkeypatch.setattr(model_cache, "App", app_of(world))
    stream = io.StringIO()
    log.set_up("json", "info", stream)
    yield Service(world, load_all(config), stream, ProcessMetrics())
    ledger.close()
    structlog.reset_defaults()


def test_a_cycle_promotes_and_the_next_has_nothing_to_do(service: Service) -> None:
    assert service.cycle() == "promoted"
    assert service.cycle() == "nothing to do"
    first, second = service.logged("cycle ended")
    assert (first["version"], first["changes"], second["version"]) == (1, 2, None)
    assert {"poll revisions", "probe"} <= {line["step"] for line in service.logged("step ended")}


@pytest.mark.parametrize(
    ("error", "level", "says"),
    [
        (SourceDown("It is down.", next_step="Wait."), "warning", "failed: It is down."),
        (SourceError("It is wrong.", next_step="Look."), "error", "failed: It is wrong."),
        (RuntimeError("boom"), "error", "failed: unexpected error"),
    ],
)
def test_a_failure_is_logged_and_the_next_cycle_goes_on(
    service: Service, error: Exception, level: str, says: str
) -> None:
    service.world.source.fail_next(error)
    assert service.cycle() == says
    (line,) = service.logged("cycle failed")
    assert line["level"] == level
    assert service.cycle() == "promoted", "the lease was given back"


def test_a_cycle_that_comes_second_is_skipped(service: Service) -> None:
    world = service.world
    with writer(Run(ledger=world.ledger, clock=world.clock, work=Work(), actor="somebody"), TTL):
        assert service.cycle() == "skipped: another process is writing"
    (line,) = service.logged("cycle skipped")
    assert "somebody" in line["reason"]


def test_the_first_cycle_starts_at_once_and_ticks_try_again(service: Service) -> None:
    service.world.source.fail_next(SourceDown("It is down."))

    def stop_when_promoted() -> None:
        give_up = time.monotonic() + 60
        while not service.current and time.monotonic() < give_up:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=stop_when_promoted).start()
    daemon.serve(service.configuration, page=daemon_page)
    assert service.current == 1
    assert len(service.logged("cycle failed")) == 1
    (failed, *_) = service.logged("waiting")
    assert failed["last"] == "failed: It is down." and failed["next"].endswith("UTC")
    assert service.logged("daemon stopped")


def test_a_ledger_that_no_tick_can_heal_ends_the_daemon_at_once(service: Service, tmp_path: Path) -> None:
    (tmp_path / "state" / "ledger.sqlite3").unlink()
    with pytest.raises(SchemaError):
        daemon.serve(service.configuration, page=daemon_page)


def test_a_cycle_ends_at_its_deadline_and_the_next_goes_on(service: Service) -> None:
    ample = service.configuration
    schedule = ample.settings.schedule.model_copy(update={"deadline": timedelta(microseconds=1)})
    short = ample.settings.model_copy(update={"schedule": schedule})
    service.configuration = dataclasses.replace(ample, settings=short)
    assert service.cycle() == "abandoned at its deadline"
    (line,) = service.logged("cycle overdue")
    assert line["level"] == "warning" and "deadline" in line["reason"]
    service.configuration = ample
    assert service.cycle() == "promoted"
    assert service.count("kbsync_cycles_total", outcome="overdue") == 1
    assert service.count("kbsync_cycles_total", outcome="promoted") == 1
    assert service.count("kbsync_edits_total", change="add") == 2
    assert service.count("kbsync_errors_total", kind="Stopped", transient="true") == 1


def test_nothing_of_a_cycle_outlives_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application holds the model: once it is gone, so is the model."""
    kept: list[weakref.ref[Any]] = []

    class Watched(model_cache.App):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            kept.append(weakref.ref(self))

    monkeypatch.setattr(model_cache, "App", Watched)
    for kind in (None, SourceDown, RuntimeError):
        if kind:
            service.world.source.fail_next(kind("It is down."))
        service.cycle()
        assert kept[-1]() is None, kind
    assert len(kept) == 3


def test_the_page_is_served_while_the_daemon_runs(service: Service) -> None:
    settings = service.configuration.settings
    web = WebSettings.model_validate({"enabled": True, "port": 0})
    found = dataclasses.replace(service.configuration, settings=settings.model_copy(update={"web": web}))
    seen: list[str] = []

    def look() -> None:
        give_up = time.monotonic() + 60
        while not service.current and time.monotonic() < give_up:
            time.sleep(0.05)
        (line,) = service.logged("status page")
        while "last: " not in (page := read(line["address"])) and time.monotonic() < give_up:
            time.sleep(0.05)
        seen.extend((page, read(line["address"] + "metrics"), read(line["address"] + "readyz")))
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=look)
    thread.start()
    daemon.serve(found, page=daemon_page)
    thread.join()
    page, metrics, ready = seen
    assert "last: " in page and "next: " in page and "version 1" in page
    assert 'kbsync_cycles_total{outcome="promoted"} 1.0' in metrics
    assert json.loads(ready) == {"ready": True, "reasons": []}


def read(address: str) -> str:
    with urlopen(address, timeout=30) as answer:
        return str(answer.read().decode())
