"""A copy of a model is made once, and is whole or not there."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.domain.errors import ModelError
from kbsync.model.converted import converted
from kbsync.ports import UNWATCHED


def test_the_first_writes_it_and_all_others_find_it(tmp_path: Path) -> None:
    calls = []

    def write(directory: Path) -> None:
        calls.append(directory)
        (directory / "config.json").write_text("{}")

    for _ in range(2):
        found = converted(tmp_path / "model", write, UNWATCHED, steps=1, told="")
        assert found == tmp_path / "model" and (found / "config.json").read_text() == "{}"
    assert len(calls) == 1


def test_a_conversion_that_fails_leaves_nothing_and_is_made_again(tmp_path: Path) -> None:
    def fails(directory: Path) -> None:
        (directory / "config.json").write_text("{")
        raise OSError(28, "No space left on device")

    with pytest.raises(ModelError, match="No space left on device") as failed:
        converted(tmp_path / "model", fails, UNWATCHED, steps=None, told="")
    assert "room on its disk" in failed.value.next_step
    assert not (tmp_path / "model").exists()
    converted(tmp_path / "model", lambda directory: None, UNWATCHED, steps=None, told="")
    assert (tmp_path / "model").is_dir()
