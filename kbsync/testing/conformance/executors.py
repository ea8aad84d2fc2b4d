"""What every ``Executor`` must do."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.domain.errors import DataError, Stopped
from kbsync.ports import Executor, Part, Work
from kbsync.testing.letter_worker import ECHO, FAIL, WAIT


class ExecutorConformance:
    """Override the fixture ``executor``: it does its tasks with ``letter_worker.make(str(place))``."""

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """The workers' directory."""
        return tmp_path

    @pytest.fixture
    def executor(self, place: Path) -> Executor:
        """The executor under test."""
        raise NotImplementedError("override the fixture `executor`")

    def test_every_part_of_every_task_comes_once_and_in_its_order(self, executor: Executor) -> None:
        tasks = [b"one", b"", b"three", b"one", bytes(range(256))]
        parts = list(executor.map(ECHO, b"-", tasks))
        for place, task in enumerate(tasks):
            assert [p.data for p in parts if p.task == place] == [b"-" + bytes([letter]) for letter in task]
        assert len(parts) == sum(map(len, tasks))

    def test_no_task_gives_no_part(self, executor: Executor) -> None:
        assert list(executor.map(ECHO, b"", [])) == []

    def test_a_large_result_and_a_large_task_come_whole(self, executor: Executor) -> None:
        shared = b"x" * 3_000_000
        assert list(executor.map(ECHO, shared, [b"a"])) == [Part(0, shared + b"a")]

    def test_what_a_worker_raises_is_raised(self, executor: Executor) -> None:
        with pytest.raises(DataError) as raised:
            list(executor.map(FAIL, b"", [b"bread"]))
        assert (raised.value.what, raised.value.kept) == ("No bread.", "All else.")
        assert raised.value.next_step == "Ask for another one."

    def test_after_an_error_the_next_map_is_done(self, executor: Executor) -> None:
        with pytest.raises(DataError):
            list(executor.map(FAIL, b"", [b"bread", b"milk"]))
        assert list(executor.map(ECHO, b"", [b"a"])) == [Part(0, b"a")]

    def test_a_stop_is_noticed_while_tasks_are_done(self, executor: Executor) -> None:
        asked = 0

        def check() -> None:
            nonlocal asked
            asked += 1
            if asked > 2:
                raise Stopped("asked to stop")

        with pytest.raises(Stopped):
            list(executor.map(WAIT, b"", [b"0.3"] * 40, Work(checks=[check])))
        assert list(executor.map(ECHO, b"", [b"a"])) == [Part(0, b"a")]

    def test_whoever_wants_no_more_may_leave(self, executor: Executor) -> None:
        parts = executor.map(ECHO, b"", [b"ab"] * 6)
        assert next(parts).data == b"a"
        del parts
        assert list(executor.map(ECHO, b"", [b"c"])) == [Part(0, b"c")]
