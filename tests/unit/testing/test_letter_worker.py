"""The conformance suite's worker does what its kinds say."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.domain.errors import DataError, ModelError
from kbsync.testing.letter_worker import COUNT, ECHO, FAIL, make


def test_it_spells_counts_and_fails(tmp_path: Path) -> None:
    worker = make(str(tmp_path))
    assert list(worker.do(ECHO, b"-", b"ab", lambda: None)) == [b"-a", b"-b"]
    (count,) = worker.do(COUNT, b"", b"", lambda: None)
    assert count.split()[1] == b"2"
    with pytest.raises(DataError):
        list(worker.do(FAIL, b"", b"x", lambda: None))


def test_it_needs_its_directory(tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        make(str(tmp_path / "missing"))
