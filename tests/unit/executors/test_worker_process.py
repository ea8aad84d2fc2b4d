"""A worker's process answers with bytes, also where it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.domain.errors import DataError, ModelError, WorkersRefused
from kbsync.executors.messages import parts_of, task_hash
from kbsync.executors.worker_process import READY, Description, WorkerProcess, encode, versions
from kbsync.testing.letter_worker import ECHO, FAIL

MAKER = "kbsync.testing.letter_worker:make"


def process(place: Path, **changes: str) -> WorkerProcess:
    return WorkerProcess(encode(Description(MAKER, str(place), versions() | changes, 1)))


def test_it_does_tasks_when_it_is_ready(tmp_path: Path) -> None:
    worker = process(tmp_path)
    assert parts_of(worker.prepare(), READY) == []
    assert parts_of(worker.do(ECHO, b"-", b"ab"), task_hash(ECHO, b"-", b"ab")) == [b"-a", b"-b"]
    with pytest.raises(DataError):
        parts_of(worker.do(FAIL, b"", b"x"), "any")


def test_it_does_nothing_before(tmp_path: Path) -> None:
    with pytest.raises(WorkersRefused, match="before it was made ready"):
        parts_of(process(tmp_path).do(ECHO, b"", b"a"), "any")


def test_it_says_what_it_lacks(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no"):
        parts_of(process(tmp_path / "missing").prepare(), READY)


@pytest.mark.parametrize("name", sorted(versions()))
def test_another_version_of_anything_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(WorkersRefused, match=f"{name} .* instead of 9"):
        parts_of(process(tmp_path, **{name: "9"}).prepare(), READY)
