"""The soak's own tools: its clock, its world, and its judgement of the schedule."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

from apscheduler.events import EVENT_JOB_SUBMITTED, JobSubmissionEvent

from kbsync.daemon.schedule import between, trigger
from kbsync.daemon.schedule_state import AWAY, MissedRuns
from tests.evidence.soak.clock import FastClock, scheduling_by
from tests.evidence.soak.report import unaccounted
from tests.evidence.soak.world import CHANGE, REPAIR, VANDALISM, World, relations, script, table

SIMULATED = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_fast_schedule_fires_once_at_each_of_its_times() -> None:
    fired: list[datetime] = []
    enough = threading.Event()

    def on_due(event: JobSubmissionEvent) -> None:
        fired.extend(event.scheduled_run_times)
        if len(fired) >= 30:
            enough.set()

    started = datetime.now(UTC)
    with scheduling_by(FastClock(started, SIMULATED, 21600.7)) as scheduler_class:
        every_run = {"misfire_grace_time": None, "coalesce": False, "max_instances": 100}
        scheduler = scheduler_class(timezone=UTC, job_defaults=every_run)
        scheduler.add_listener(on_due, EVENT_JOB_SUBMITTED)
        scheduler.add_job(int, trigger("*/7 * * * *"))
        scheduler.start()
        assert enough.wait(60)
        scheduler.shutdown()
    assert fired == between("*/7 * * * *", SIMULATED, fired[-1] + timedelta(seconds=1))
    assert datetime.now(UTC) - started < (fired[-1] - SIMULATED) / 2, "hours of the schedule take seconds"


def test_only_times_without_run_and_without_record_are_unaccounted() -> None:
    hours = [SIMULATED + timedelta(hours=n) for n in range(7)]
    gap = MissedRuns(job="sync", times=2, first=hours[3], last=hours[4], reason=AWAY)
    assert unaccounted("0 * * * *", [hours[1], hours[5]], [gap], hours[0], hours[6]) == [hours[2]]


def test_the_world_ends_as_its_script_says() -> None:
    known, watched = table(), relations()
    events = script(known, watched, 0, 25.0)
    assert events == script(known, watched, 0, 25.0), "a run that goes on must know the same world"
    world = World(known, SIMULATED)
    vandals = set()
    for event in events:
        world.happen(None, event)
        assert world.truth((event.subject, event.property)) == event.new
        vandals |= {event.new} if event.kind == VANDALISM else set()
    left = {world.truth((s, r.property)) for r in watched for s in r.subjects}
    assert not vandals & left and len(vandals) == sum(e.kind == REPAIR for e in events) == 4
    assert sum(e.kind == CHANGE for e in events) == 10
