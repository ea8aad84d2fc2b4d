"""A clock that runs faster than the machine's, and the same for every process that reads its file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

from apscheduler.schedulers.background import BackgroundScheduler

from kbsync.bootstrap.adapters import SystemClock
from kbsync.system.durable import write_file


class FastClock(SystemClock):
    """A clock on which ``speed`` seconds pass in each second of the machine's.

    At the machine's time ``real`` it shows ``simulated``. Waiting takes as long as on any other clock.
    """

    def __init__(self, real: datetime, simulated: datetime, speed: float) -> None:
        self._real, self._simulated, self.speed = real, simulated, speed

    def now(self) -> datetime:
        return self._simulated + (datetime.now(UTC) - self._real) * self.speed

    def seconds_until(self, simulated: datetime) -> float:
        """The machine's seconds until ``simulated``; negative if it has passed."""
        return (simulated - self.now()).total_seconds() / self.speed

    def write(self, path: Path) -> None:
        document = {"real": self._real.isoformat(), "simulated": self._simulated.isoformat(), "speed": self.speed}
        write_file(path, json.dumps(document).encode())


def read_clock(path: Path) -> FastClock:
    saved = json.loads(path.read_text(encoding="utf-8"))
    return FastClock(
        datetime.fromisoformat(saved["real"]), datetime.fromisoformat(saved["simulated"]), float(saved["speed"])
    )


@contextmanager
def scheduling_by(clock: FastClock) -> Iterator[type[BackgroundScheduler]]:
    """Make the daemon's schedules follow ``clock`` inside the block; gives the scheduler that the daemon uses there.

    APScheduler takes the time from ``datetime.now`` and waits in seconds of the machine, so both are replaced.
    """

    class FastDatetime(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return clock.now()

    class FastScheduler(BackgroundScheduler):  # type: ignore[misc]
        def _process_jobs(self) -> float | None:
            seconds: float | None = super()._process_jobs()
            return None if seconds is None else seconds / clock.speed

    with (
        patch("apscheduler.schedulers.base.datetime", FastDatetime),
        patch("kbsync.daemon.timetable.datetime", FastDatetime),
        patch("kbsync.daemon.timetable.BackgroundScheduler", FastScheduler),
    ):
        yield FastScheduler
