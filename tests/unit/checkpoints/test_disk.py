"""Storage on a disk: what a directory's name promises while it is written and removed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.checkpoints.disk import DiskStorage
from tests.support.file_faults import killed

FILES = {"mark": b"m", "data": b"d"}


@pytest.fixture
def storage(tmp_path: Path) -> DiskStorage:
    return DiskStorage(tmp_path / "root")


def write(storage: DiskStorage) -> None:
    storage.write_directory("new", FILES, mark="mark", check=lambda _: None, aside="aside")


def test_a_directory_has_its_name_only_after_it_was_checked(storage: DiskStorage) -> None:
    seen = []

    def check(directory: str) -> None:
        seen.append((directory.startswith(".unfinished-new-"), storage.exists("new")))

    storage.write_directory("new", FILES, mark="mark", check=check, aside="aside")
    assert seen == [(True, False)]
    assert storage.is_whole("new", "no such file"), "the name alone tells"


def test_an_older_directory_has_the_name_until_the_new_one_was_checked(storage: DiskStorage) -> None:
    write(storage)
    seen = []
    storage.write_directory(
        "new", {"mark": b"n"}, mark="mark", check=lambda _: seen.append(storage.read("new/mark")), aside="aside"
    )
    assert (seen, storage.read("new/mark"), storage.read("aside/mark")) == ([b"m"], b"n", b"m")


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_killed_write_leaves_no_directory_of_the_name(storage: DiskStorage, step: str) -> None:
    storage.write("other", b"")
    assert killed(step, lambda: write(storage))
    assert not storage.exists("new")
    assert len([name for name in storage.remove_unfinished() if "/" not in name]) == 1
    assert storage.files() == ["other"]


def test_a_killed_removal_takes_the_name_first(storage: DiskStorage) -> None:
    write(storage)
    assert killed("fsync", lambda: storage.remove_directory("new"))
    assert not storage.exists("new")
    storage.remove_unfinished()
    assert storage.files() == []
