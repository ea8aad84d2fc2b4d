"""A worker without a model, for the conformance suite of executors: it can be made to fail, to wait and to end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from kbsync.domain.errors import DataError, ModelError
from kbsync.ports import Worker

ECHO, FAIL, COUNT, WAIT, DIE_ONCE, DIE = "echo", "fail", "count", "wait", "die once", "die"
"""Kinds of task: say each letter; raise; say how many tasks were done in this process; wait so many seconds; end the
process at the first try; end it at every try."""


class LetterWorker(Worker):
    """``place``: a directory for what must outlive a process."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._done = 0

    def do(self, kind: str, shared: bytes, task: bytes, checkpoint: Callable[[], None]) -> Iterator[bytes]:
        """Yield the letters of the task, each behind ``shared``, after what ``kind`` demands."""
        self._done += 1
        if kind == FAIL:
            raise DataError(f"No {task.decode()}.", kept="All else.", next_step="Ask for another one.")
        if kind == WAIT:
            time.sleep(float(task))
        if kind == DIE or (kind == DIE_ONCE and self._first(task)):
            os.kill(os.getpid(), signal.SIGKILL)
        if kind == COUNT:
            yield f"{os.getpid()} {self._done}".encode()
            return
        for letter in task:
            checkpoint()
            yield shared + bytes([letter])

    def _first(self, task: bytes) -> bool:
        try:
            (self._place / task.hex()).touch(exist_ok=False)
        except FileExistsError:
            return False
        return True


def make(argument: str) -> LetterWorker:
    """A worker over the directory ``argument``; raises ``ModelError`` where there is none."""
    if not Path(argument).is_dir():
        raise ModelError(f"There is no {argument} here.", next_step="Make it.")
    return LetterWorker(Path(argument))
