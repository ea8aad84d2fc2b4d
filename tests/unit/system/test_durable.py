from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from kbsync.system.durable import locked, new_directory, write_file


def test_a_directory_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "model"
    with pytest.raises(KeyboardInterrupt), new_directory(target) as unfinished:
        (unfinished / "a").write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    with new_directory(target) as unfinished:
        (unfinished / "a").write_text("whole")
        assert not target.exists()
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert (target / "a").read_text() == "whole"


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    left = tmp_path / ".unfinished-model-abc"
    other = tmp_path / ".unfinished-another-abc"
    left.mkdir()
    (left / "half").write_text("")
    other.mkdir()
    with new_directory(tmp_path / "model"):
        assert not left.exists()
    assert other.exists()


def test_a_file_is_replaced_in_one_step(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    write_file(file, b"old")
    write_file(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("umask", [0o022, 0o027, 0o077])
def test_files_have_the_rights_that_the_umask_gives(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        write_file(tmp_path / "a.json", b"")
        with new_directory(tmp_path / "odd [name]*?") as unfinished:
            (unfinished / "private").touch(0o600)
    finally:
        os.umask(before)
    for file in (tmp_path / "a.json", tmp_path / "odd [name]*?" / "private"):
        assert file.stat().st_mode & 0o777 == 0o666 & ~umask


@pytest.mark.slow
def test_a_lock_is_held_by_one_at_a_time(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with locked(tmp_path / "dir" / ".lock"):
            order.append("second")

    with locked(tmp_path / "dir" / ".lock"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join(0.2)
        assert thread.is_alive()
        order.append("first")
    thread.join(10)
    assert order == ["first", "second"]


@pytest.mark.hardening
def test_a_lock_does_not_go_through_a_link_that_somebody_else_put_there(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("kept")
    (tmp_path / ".lock").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="symbolic links"), locked(tmp_path / ".lock"):
        pass
    assert (tmp_path / "precious").read_text() == "kept"
