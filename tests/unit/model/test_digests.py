from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from kbsync.model.digests import Digests, digests_in


def test_a_digest_is_the_file_s_and_follows_its_content(tmp_path: Path) -> None:
    digests, file = digests_in(tmp_path / "cache"), tmp_path / "weights"
    for content in (b"one", b"other"):
        file.write_bytes(content)
        assert digests.of(file) == hashlib.sha256(content).hexdigest()


def test_a_file_that_did_not_change_is_read_once(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    file.write_bytes(b"one")
    before, stat = digests_in(tmp_path).of(file), file.stat()
    file.write_bytes(b"two")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert digests_in(tmp_path).of(file) == before, "size and time are what tells a change"
    assert Digests(tmp_path / "another.json").of(file) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("damage", ["{ no", "[]", '{"x": 1}'])
def test_a_damaged_cache_is_made_again(tmp_path: Path, damage: str) -> None:
    file, cache = tmp_path / "weights", tmp_path / "digests.json"
    file.write_bytes(b"one")
    before = digests_in(tmp_path).of(file)
    cache.write_text(damage)
    assert digests_in(tmp_path).of(file) == before
    assert before in cache.read_text()


def test_a_file_that_is_not_there_has_none(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        digests_in(tmp_path).of(tmp_path / "absent")
