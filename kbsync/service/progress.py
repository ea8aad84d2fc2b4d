"""Progress for logs: one line when a step has ended."""

from __future__ import annotations

import time

from kbsync.ports import Progress
from kbsync.service.log import logger
from kbsync.service.stop import Stop


class LogProgress(Progress):
    """Silent while a step runs; a step without items to do is not worth a line."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self._stage, self._done, self._started = "", 0, 0.0
        self._total: int | None = None

    def start(self, stage: str, total: int | None) -> None:
        self._stage, self._total, self._done, self._started = stage, total, 0, time.monotonic()

    def advance(self, count: int = 1) -> None:
        self._done += count
        self._stop.check()

    def finish(self, note: str = "") -> None:
        if self._total == 0:
            return
        fields = {"note": note} if note else {}
        seconds = round(time.monotonic() - self._started, 3)
        logger().info("step ended", step=self._stage, items=self._done, seconds=seconds, **fields)
