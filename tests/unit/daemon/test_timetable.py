"""Jobs in their lanes, and the record of every time at which one was due."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbsync.bootstrap.adapters import SystemClock
from kbsync.daemon.jobs import Job
from kbsync.daemon.metrics import ProcessMetrics
from kbsync.daemon.run_job import JobResult
from kbsync.daemon.schedule_state import AWAY, OVERRUN, MissedRuns, ScheduleFile
from kbsync.daemon.timetable import Timetable

PATIENCE = 60
NONE, DAY = timedelta(0), timedelta(days=1)
SYNC = Job(name="sync", stage="sync", when="1d", jitter=NONE, deadline=DAY)
PULL = Job(name="offices", stage="pull", when="1s", jitter=NONE, deadline=DAY)
OK = JobResult("nothing to do", "nothing to do", ok=True)


@pytest.fixture
def running(tmp_path: Path) -> Callable[..., Timetable]:
    def start(do: Callable[[Job], JobResult | None], *jobs: Job) -> Timetable:
        made = Timetable(do, ScheduleFile(tmp_path), ProcessMetrics(), SystemClock())
        made.start(jobs)
        return made

    return start


@pytest.mark.slow
def test_a_long_edit_blocks_no_pull(running: Callable[..., Timetable], tmp_path: Path) -> None:
    pulled, edited = threading.Semaphore(0), threading.Event()
    meanwhile: list[bool] = []

    def do(job: Job) -> JobResult:
        if job.lane == "work":
            meanwhile.extend(pulled.acquire(timeout=PATIENCE) for _ in range(2))
            edited.set()
        else:
            pulled.release()
        return OK

    timetable = running(do, SYNC, PULL)
    assert edited.wait(2 * PATIENCE)
    timetable.end()
    assert meanwhile == [True, True], "two pulls ran while the edit did"
    assert ScheduleFile(tmp_path).read().jobs["offices"].outcome == "nothing to do"


@pytest.mark.slow
def test_a_job_that_still_runs_is_not_started_again_and_that_is_on_record(
    running: Callable[..., Timetable], tmp_path: Path
) -> None:
    skipped = threading.Event()

    def do(job: Job) -> JobResult:
        give_up = datetime.now(UTC) + timedelta(seconds=PATIENCE)
        while not ScheduleFile(tmp_path).read().gaps and datetime.now(UTC) < give_up:
            skipped.wait(0.05)
        return OK

    often = Job(name="sync", stage="sync", when="1s", jitter=NONE, deadline=DAY)
    timetable = running(do, often)
    while not ScheduleFile(tmp_path).read().gaps:
        skipped.wait(0.05)
    timetable.end()
    state = ScheduleFile(tmp_path).read()
    assert state.gaps[0].reason == OVERRUN and state.gaps[0].job == "sync"
    assert state.missed["sync"] == sum(runs.times for runs in state.gaps)


def test_what_was_due_while_no_daemon_ran_is_on_record_and_made_up_once(
    running: Callable[..., Timetable], tmp_path: Path
) -> None:
    gone = datetime.now(UTC) - timedelta(hours=25)
    hourly = Job(name="hourly", stage="pull", when="1h", jitter=NONE, deadline=DAY)
    ScheduleFile(tmp_path).due("hourly", gone)
    ran = threading.Event()

    def do(job: Job) -> JobResult:
        if job.name == "hourly":
            ran.set()
        return OK

    timetable = running(do, SYNC, hourly)
    assert ran.wait(PATIENCE), "it is late, so it runs at once"
    timetable.end()
    state = ScheduleFile(tmp_path).read()
    (missed,) = state.gaps
    assert missed == MissedRuns(
        job="hourly", times=25, first=gone + timedelta(hours=1), last=gone + DAY + timedelta(hours=1), reason=AWAY
    )
    assert state.missed["hourly"] == 25


def test_another_schedule_is_taken_while_it_runs(running: Callable[..., Timetable]) -> None:
    timetable = running(lambda job: OK, SYNC)
    assert timetable.upcoming("pull") == ("", None)
    timetable.change([SYNC, PULL])
    assert timetable.upcoming("pull")[0] == "offices"
    timetable.change([SYNC])
    assert timetable.upcoming("pull") == ("", None)
    timetable.end()
