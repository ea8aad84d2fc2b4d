"""The newest run of every job of the daemon, and the runs that were missed.

The state is a small file beside the ledger, ``schedule.json``. It is always replaced as a whole, so a kill leaves the
old or the new one. A daemon that starts reads from it when each job was due last, and so knows which runs were missed
while no daemon was running.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from kbsync.system.durable import locked, make_directory, write_file

FILE = "schedule.json"
KEPT = 1000
"""Number of ``MissedRuns`` that the file keeps; older ones are in the log only."""
AWAY = "no daemon was running, or the machine was asleep"
OVERRUN = "the run before it had not ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRecord:
    """The newest run of a job."""

    due: datetime
    """When it was due."""
    outcome: str | None = None
    """How it ended; None while it is running."""
    ended: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissedRuns:
    """Runs of one job that did not take place, one after the other."""

    job: str
    times: int
    first: datetime
    """When the first of them was due."""
    last: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """All that the file holds."""

    jobs: dict[str, JobRecord] = field(default_factory=dict)
    missed: dict[str, int] = field(default_factory=dict)
    """Number of missed runs by job, since the file was made."""
    gaps: tuple[MissedRuns, ...] = ()
    """The newest ``KEPT``, oldest first."""


class ScheduleFile:
    """The file in one state directory; a lock lets one process at a time change it."""

    def __init__(self, state: Path) -> None:
        self._path = state / FILE

    def read(self) -> ScheduleState:
        """Read the state. It is empty if there is no file, or if the file is damaged and was renamed."""
        try:
            return _state(json.loads(self._path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return ScheduleState()
        except (ValueError, KeyError, TypeError):
            self._path.replace(self._path.with_suffix(".damaged"))
            return ScheduleState()

    def due(self, job: str, at: datetime, missed: Iterable[MissedRuns] = ()) -> None:
        """Record that the job was due at ``at``, and the runs that it ``missed`` before."""
        gaps = tuple(missed)

        def change(state: ScheduleState) -> ScheduleState:
            record = replace(state.jobs.get(job, JobRecord(due=at)), due=at)
            counts = state.missed | {job: state.missed.get(job, 0) + sum(runs.times for runs in gaps)}
            return ScheduleState(jobs=state.jobs | {job: record}, missed=counts, gaps=(*state.gaps, *gaps)[-KEPT:])

        self._change(change)

    def ended(self, job: str, outcome: str, at: datetime) -> None:
        """Record how the job's run ended."""

        def change(state: ScheduleState) -> ScheduleState:
            record = state.jobs.get(job) or JobRecord(due=at)
            return replace(state, jobs=state.jobs | {job: replace(record, outcome=outcome, ended=at)})

        self._change(change)

    def _change(self, change: Callable[[ScheduleState], ScheduleState]) -> None:
        make_directory(self._path.parent)
        with locked(self._path.with_suffix(".lock")):
            document = json.dumps(asdict(change(self.read())), default=datetime.isoformat, indent=1)
            write_file(self._path, document.encode())


def _state(data: dict[str, Any]) -> ScheduleState:
    return ScheduleState(
        jobs={
            name: JobRecord(due=_time(r["due"]), outcome=r["outcome"], ended=_time(r["ended"]) if r["ended"] else None)
            for name, r in data["jobs"].items()
        },
        missed={str(name): int(count) for name, count in data["missed"].items()},
        gaps=tuple(
            MissedRuns(**gap | {"first": _time(gap["first"]), "last": _time(gap["last"])}) for gap in data["gaps"]
        ),
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)
