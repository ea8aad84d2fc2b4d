"""The soak's own tools: its clock, its world, and its judgement of the schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kbsync.daemon.schedule import Paced, trigger
from kbsync.daemon.schedule_state import AWAY, Gap
from tests.evidence.soak.clock import FastClock
from tests.evidence.soak.report import unaccounted
from tests.evidence.soak.world import CHANGE, REPAIR, VANDALISM, World, relations, script, table

REAL, SIMULATED = datetime(2026, 5, 1, 12, 0, 0, 123457, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)


def test_a_fast_schedule_fires_once_at_each_of_its_times() -> None:
    clock = FastClock(REAL, SIMULATED, 2160.7)
    paced, at, seen = Paced(trigger("*/7 * * * *"), clock), REAL, []
    for _ in range(300):
        at = paced.get_next_fire_time(at, at)
        seen.append(clock.scheduled(at))
    assert seen[0] == SIMULATED + timedelta(minutes=7)
    assert len(set(seen)) == 300 and all(t.minute % 7 == 0 and t.second == t.microsecond == 0 for t in seen)


def test_only_times_without_run_and_without_record_are_unaccounted() -> None:
    hours = [SIMULATED + timedelta(hours=n) for n in range(7)]
    gap = Gap(job="sync", times=2, first=hours[3], last=hours[4], reason=AWAY)
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
