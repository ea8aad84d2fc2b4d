"""What every storage does, on a disk and at URLs: memory, a disk through fsspec, and a WebDAV server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.remote import open_remote
from kbsync.checkpoints.storage import Entry, Storage
from tests.support.remotes import KINDS, remote

FILES = {"mark": b"written last", "data": b"content", "more": b""}


@pytest.fixture(params=["disk", *KINDS])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    if request.param == "disk":
        yield DiskStorage(tmp_path / "root")
    else:
        with remote(request.param, tmp_path) as (url, options):
            yield open_remote(url, options)


def write_directory(storage: Storage, name: str, files: dict[str, bytes] = FILES, aside: str = "aside") -> None:
    def check(directory: str) -> None:
        assert {name: storage.read(f"{directory}/{name}") for name in files} == files

    storage.write_directory(name, files, mark="mark", check=check, aside=aside)


def test_nothing_is_there_before_the_first_write(storage: Storage) -> None:
    assert storage.names() == storage.files() == storage.files("a") == storage.unfinished() == []
    assert not storage.exists("a") and not storage.is_directory("a")
    assert not storage.is_whole("a", "mark")
    assert storage.remove_unfinished() == []
    with pytest.raises(FileNotFoundError):
        storage.read("a")


@pytest.mark.slow
def test_a_file_is_written_read_replaced_renamed_and_removed(storage: Storage) -> None:
    storage.write("a/b/c", b"one")
    storage.write("a/b/c", b"three")
    assert (storage.read("a/b/c"), storage.size("a/b/c")) == (b"three", 5)
    assert storage.exists("a/b/c") and not storage.is_directory("a/b/c") and storage.is_directory("a/b")
    storage.write("a/b/d", b"")
    assert (sorted(storage.names("a/b")), storage.names("a")) == (["c", "d"], ["b"])
    assert sorted(storage.files()) == sorted(storage.files("a")) == ["a/b/c", "a/b/d"]
    assert (storage.size("a"), storage.size("a/b/d")) == (5, 0)
    storage.rename("a/b/c", "a/b/d")
    assert (storage.files(), storage.read("a/b/d")) == (["a/b/d"], b"three")
    storage.remove("a/b/d")
    storage.remove("a/b/d")
    assert storage.files() == []


def test_a_head_stands_before_the_content(storage: Storage) -> None:
    storage.write("a", b"content", head=b"head\n")
    assert storage.read("a") == b"head\ncontent"


@pytest.mark.slow
def test_a_part_of_a_storage_sees_what_is_below(storage: Storage) -> None:
    storage.write("a/b/c", b"content")
    part = storage.below("a")
    assert part.read("b/c") == b"content"
    assert (part.files(), part.names()) == (["b/c"], ["b"])
    assert part.where("b") == storage.where("a/b")
    assert part.where() == storage.where("a")


@pytest.mark.slow
def test_a_file_was_changed_a_moment_ago(storage: Storage) -> None:
    storage.write("a/b", b"")
    for name in ("a/b", "a"):
        assert abs(storage.modified(name) - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.slow
def test_a_directory_is_written_as_a_whole(storage: Storage) -> None:
    write_directory(storage, "new")
    assert {name: storage.read(f"new/{name}") for name in storage.names("new")} == FILES
    assert storage.is_whole("new", "mark") and not storage.is_half("new", "mark")
    assert storage.unfinished() == []


@pytest.mark.slow
def test_a_directory_that_does_not_read_back_is_an_error(storage: Storage) -> None:
    def refuse(directory: str) -> None:
        raise ValueError(f"{directory} is not as it was written")

    with pytest.raises(ValueError, match="not as it was written"):
        storage.write_directory("new", FILES, mark="mark", check=refuse, aside="aside")
    assert storage.unfinished() == []


@pytest.mark.slow
def test_an_older_directory_of_the_name_is_kept_under_another(storage: Storage) -> None:
    write_directory(storage, "new", {"mark": b"old", "rest": b"of the old one"})
    write_directory(storage, "new")
    assert sorted(storage.names("new")) == sorted(FILES)
    assert {name: storage.read(f"aside/{name}") for name in storage.names("aside")} == {
        "mark": b"old",
        "rest": b"of the old one",
    }


@pytest.mark.slow
def test_a_removed_directory_is_gone_with_all_below(storage: Storage) -> None:
    write_directory(storage, "new")
    storage.write("other", b"stays")
    storage.remove_directory("new", "mark")
    assert (storage.files(), storage.exists("new")) == (["other"], False)


@pytest.mark.slow
def test_what_a_killed_write_left_is_found_and_removed(storage: Storage) -> None:
    storage.write("a/b", b"whole")
    storage.write("a/.unfinished-b-12345678", b"half")
    assert storage.unfinished() == ["a/.unfinished-b-12345678"]
    assert storage.remove_unfinished() == ["a/.unfinished-b-12345678"]
    assert (storage.unfinished(), storage.files()) == ([], ["a/b"])


@pytest.mark.slow
def test_an_entry_is_a_file_or_a_directory(storage: Storage) -> None:
    storage.write("a/b/c", b"content")
    file, directory = Entry(storage, "a/b/c"), Entry(storage, "a/b")
    assert (str(file), file.last, file.read(), file.size()) == (storage.where("a/b/c"), "c", b"content", 7)
    assert (directory.last, directory.size()) == ("b", 7)
    assert file.modified() <= datetime.now(UTC) + timedelta(minutes=1)
    directory.remove()
    file.remove()
    assert storage.files() == []
