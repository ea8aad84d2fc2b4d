"""One run of a job in this process: what each kind of failure means for the next run."""

from __future__ import annotations

import dataclasses
import weakref
from datetime import timedelta
from typing import Any

import pytest

from kbsync.daemon import model_cache
from kbsync.domain.errors import SourceDown, SourceError
from kbsync.ports import Work
from kbsync.stages.session import Run, writer
from tests.support.daemon_service import Service
from tests.support.stage_world import TTL
from tests.support.world_app import app_of


@pytest.mark.slow
def test_a_cycle_promotes_and_the_next_has_nothing_to_do(service: Service) -> None:
    assert service.cycle() == "promoted"
    assert service.cycle() == "nothing to do"
    first, second = service.logged("cycle ended")
    assert (first["version"], first["changes"], second["version"]) == (1, 2, None)
    assert {"poll revisions", "probe"} <= {line["step"] for line in service.logged("step ended")}


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_cycle_that_comes_second_is_skipped(service: Service) -> None:
    world = service.world
    with writer(Run(ledger=world.ledger, clock=world.clock, work=Work(), actor="somebody"), TTL):
        assert service.cycle() == "skipped: another process is writing"
    (line,) = service.logged("cycle skipped")
    assert "somebody" in line["reason"]


@pytest.mark.slow
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


@pytest.mark.slow
def test_nothing_of_a_cycle_outlives_it(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """The application holds the model: once it is gone, so is the model."""
    kept: list[weakref.ref[Any]] = []

    class Watched(app_of(service.world)):  # type: ignore[misc]
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
