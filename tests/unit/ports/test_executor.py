"""The executor of this process gives each part away at once, and may be stopped within a task."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from kbsync.domain.errors import Stopped
from kbsync.ports import InProcessExecutor, Part, Work, Worker


class Spelling(Worker):
    """Gives away the letters of a task, one at a time."""

    def __init__(self) -> None:
        self.spelt = ""

    def do(self, kind: str, shared: bytes, task: bytes, checkpoint: Callable[[], None]) -> Iterator[bytes]:
        for letter in task.decode():
            checkpoint()
            self.spelt += letter
            yield f"{kind}{shared.decode()}{letter}".encode()


def test_parts_come_in_the_order_of_the_tasks() -> None:
    parts = list(InProcessExecutor(Spelling()).map("k", b"-", [b"ab", b"", b"c"]))
    assert parts == [Part(0, b"k-a"), Part(0, b"k-b"), Part(2, b"k-c")]


def test_nothing_is_done_before_it_is_asked_for() -> None:
    worker = Spelling()
    parts = InProcessExecutor(worker).map("k", b"", [b"abc"])
    assert worker.spelt == ""
    next(parts)
    assert worker.spelt == "a"


def test_a_stop_is_noticed_within_a_task() -> None:
    worker, asked = Spelling(), []

    def check() -> None:
        asked.append(worker.spelt)
        if worker.spelt == "ab":
            raise Stopped("asked to stop")

    with pytest.raises(Stopped):
        list(InProcessExecutor(worker).map("k", b"", [b"abcd"], Work(checks=[check])))
    assert worker.spelt == "ab"
