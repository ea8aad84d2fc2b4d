"""The file that keeps when jobs ran and which runs they missed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbsync.daemon import schedule_state
from kbsync.daemon.schedule_state import AWAY, OVERRUN, JobRecord, MissedRuns, ScheduleFile, ScheduleState

NOON = datetime(2026, 1, 3, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def missed(times: int, reason: str = AWAY) -> MissedRuns:
    return MissedRuns(job="sync", times=times, first=NOON - times * HOUR, last=NOON - HOUR, reason=reason)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    file = ScheduleFile(tmp_path / "state")
    assert file.read() == ScheduleState(), "no file yet"
    file.due("sync", NOON, [missed(3)])
    assert file.read().jobs == {"sync": JobRecord(due=NOON)}, "it has not ended"
    file.ended("sync", "promoted", NOON + HOUR)
    file.due("offices", NOON)
    assert ScheduleFile(tmp_path / "state").read() == ScheduleState(
        jobs={"sync": JobRecord(due=NOON, outcome="promoted", ended=NOON + HOUR), "offices": JobRecord(due=NOON)},
        missed={"sync": 3, "offices": 0},
        gaps=(missed(3),),
    )


def test_a_later_due_time_keeps_how_the_run_before_ended(tmp_path: Path) -> None:
    file = ScheduleFile(tmp_path)
    file.due("sync", NOON)
    file.ended("sync", "promoted", NOON + HOUR)
    file.due("sync", NOON + 6 * HOUR)
    assert file.read().jobs["sync"] == JobRecord(due=NOON + 6 * HOUR, outcome="promoted", ended=NOON + HOUR)


def test_missed_runs_are_counted_for_good_and_only_the_newest_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedule_state, "KEPT", 2)
    file = ScheduleFile(tmp_path)
    for times, reason in ((1, AWAY), (2, OVERRUN), (4, AWAY)):
        file.due("sync", NOON, [missed(times, reason)])
    state = file.read()
    assert state.missed == {"sync": 7}
    assert state.gaps == (missed(2, OVERRUN), missed(4))


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    (tmp_path / "schedule.json").write_text('{"jobs": {')
    assert ScheduleFile(tmp_path).read().jobs == {}
    assert (tmp_path / "schedule.damaged").exists()
