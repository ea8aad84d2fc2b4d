"""Time that runs faster than the machine's, the same for every process that reads the file."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kbsync.daemon.schedule import Tempo
from kbsync.ports import Clock
from kbsync.system.durable import write_file

GRAIN = 10
"""Parts of a second to which the schedule's time is rounded: finer than any schedule, coarser than the rounding of the
machine's microseconds at any speed below a hundred thousand."""


class FastClock(Clock, Tempo):
    """``speed`` seconds pass for every one of the machine's, counted from the moment ``real`` that was ``simulated``."""

    def __init__(self, real: datetime, simulated: datetime, speed: float) -> None:
        self._real, self._simulated, self.speed = real, simulated, speed

    def now(self) -> datetime:
        return self._at(datetime.now(UTC))

    def scheduled(self, real: datetime) -> datetime:
        seconds = (self._at(real) - self._simulated).total_seconds()
        return self._simulated + timedelta(seconds=round(seconds * GRAIN) / GRAIN)

    def real(self, scheduled: datetime) -> datetime:
        microseconds = (scheduled - self._simulated) / timedelta(microseconds=1) / self.speed
        return self._real + timedelta(microseconds=math.ceil(microseconds))

    def seconds_until(self, simulated: datetime) -> float:
        """The machine's seconds from now; negative for what has passed."""
        return (self.real(simulated) - datetime.now(UTC)).total_seconds()

    def _at(self, real: datetime) -> datetime:
        return self._simulated + (real - self._real) * self.speed

    def write(self, path: Path) -> None:
        document = {"real": self._real.isoformat(), "simulated": self._simulated.isoformat(), "speed": self.speed}
        write_file(path, json.dumps(document).encode())


def read_clock(path: Path) -> FastClock:
    found = json.loads(path.read_text(encoding="utf-8"))
    return FastClock(
        datetime.fromisoformat(found["real"]), datetime.fromisoformat(found["simulated"]), float(found["speed"])
    )
