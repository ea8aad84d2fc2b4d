"""The jobs of a configuration, and what each stage does, logs and returns when a job runs it."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
import structlog

from kbsync.config import Configuration
from kbsync.config.schedule import JobSettings
from kbsync.daemon.jobs import ACTOR, PULL, WORK, Job, jobs, run_stage
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.domain.errors import NotFound
from kbsync.system import log
from tests.support.daemon_service import Service
from tests.support.site import Site
from tests.support.world_app import app_of

MINUTES = timedelta(minutes=5)
NONE, DAY = timedelta(0), timedelta(days=1)


def job(stage: str, *relations: str) -> Job:
    return Job(name=f"my {stage}", stage=stage, when="1h", jitter=NONE, deadline=DAY, relations=relations)


@pytest.fixture
def run(service: Service) -> Callable[..., str]:
    """Run a stage over the small world."""

    def run(stage: str, *relations: str) -> str:
        with closing(app_of(service.world)(service.configuration, actor=ACTOR)) as app:
            return run_stage(job(stage, *relations), app, service.metrics)

    return run


def with_jobs(configuration: Configuration, **more: JobSettings) -> Configuration:
    schedule = configuration.settings.schedule.model_copy(update={"jobs": more, "jitter": MINUTES, "deadline": DAY})
    return dataclasses.replace(configuration, settings=configuration.settings.model_copy(update={"schedule": schedule}))


def test_sync_comes_first_and_a_job_takes_what_it_does_not_set_from_the_schedule(service: Service) -> None:
    offices = JobSettings(stage="pull", when="1h", relations=("head-of-government",))
    clean = JobSettings(stage="gc", when="0 4 * * 0", jitter=NONE, deadline=timedelta(hours=1))
    sync, first, second = jobs(with_jobs(service.configuration, offices=offices, clean=clean))
    assert (sync.name, sync.stage, sync.when, sync.jitter, sync.deadline) == ("sync", "sync", "1s", MINUTES, DAY)
    assert first == Job(
        name="offices",
        stage="pull",
        when="1h",
        jitter=MINUTES,
        deadline=DAY,
        relations=("head-of-government",),
    )
    assert (second.name, second.when, second.jitter, second.deadline) == (
        "clean",
        "0 4 * * 0",
        NONE,
        timedelta(hours=1),
    )


def test_only_pulls_have_a_lane_of_their_own() -> None:
    lanes = {stage: job(stage).lane for stage in ("sync", "pull", "probe", "gc", "canary", "notify")}
    assert lanes.pop("pull") == PULL
    assert set(lanes.values()) == {WORK}


def test_a_pull_of_one_group_takes_its_relations_only(service: Service, run: Callable[..., str]) -> None:
    assert run("pull", "capital") == "pulled"
    (line,) = service.logged("pull ended")
    assert (line["job"], line["fetched"], line["believed"]) == ("my pull", 3, 3)
    assert service.world.believed("Q38", service.world.relations[0].property) == {"Q220"}
    assert service.world.believed("Q183", service.world.relations[1].property) == set()
    assert run("pull", "capital") == "nothing to do"
    with pytest.raises(NotFound, match="No relation nobody is watched"):
        run("pull", "nobody")


def test_a_probe_asks_once(service: Service, run: Callable[..., str]) -> None:
    run("pull")
    assert run("probe", "capital") == "probed"
    assert run("probe") == "probed"
    assert run("probe") == "nothing to do"
    assert [line["asked"] for line in service.logged("probe ended")] == [3, 2, 0]


@pytest.mark.slow
def test_a_cycle_counts_what_it_built(service: Service, run: Callable[..., str]) -> None:
    assert run("sync") == "promoted"
    assert service.count("kbsync_edits_total", change="add") == 2
    assert service.count("kbsync_gate_decisions_total", decision="passed") == 1
    (line,) = service.logged("cycle ended")
    assert (line["outcome"], line["version"], line["changes"], line["fetched"]) == ("promoted", 1, 2, 3)
    assert run("sync") == "nothing to do"
    assert service.count("kbsync_gate_decisions_total", decision="passed") == 1, "nothing was built"


@pytest.mark.slow
def test_canaries_are_asked_once_there_is_a_version(service: Service, run: Callable[..., str]) -> None:
    assert run("canary") == "nothing to do"
    run("sync")
    assert run("canary") == "asked"
    assert [line["version"] for line in service.logged("canaries asked")] == [0, 1]


def test_without_notifiers_nobody_is_told(service: Service, run: Callable[..., str]) -> None:
    run("sync")
    assert run("notify") == "nothing to do"
    (line,) = service.logged("notifiers told")
    assert (line["delivered"], line["given_up"]) == (0, 0)


@pytest.fixture
def logged() -> Iterator[Callable[[str], list[dict[str, Any]]]]:
    stream = io.StringIO()
    log.set_up("json", "info", stream)
    yield lambda event: [line for line in map(json.loads, stream.getvalue().splitlines()) if line["event"] == event]
    structlog.reset_defaults()


@pytest.mark.slow
def test_gc_removes_what_nobody_needs(built: Site, logged: Callable[[str], list[dict[str, Any]]]) -> None:
    left = built.state / "versions" / ".unfinished-x"
    left.mkdir()
    with built.app() as app:
        assert run_stage(job("gc"), app, ProcessMetrics()) == "removed"
        assert run_stage(job("gc"), app, ProcessMetrics()) == "nothing to do"
    assert not left.exists()
    assert [line["removed"] for line in logged("gc ended")] == [1, 0]
