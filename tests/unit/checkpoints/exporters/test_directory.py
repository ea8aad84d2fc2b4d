"""Exported directories: whole or not at all, never over another, and with a record of what they are."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kbsync.checkpoints.exporters.directory import RECORD, exported, file_sha256, record, require_free
from kbsync.domain.errors import StoreError


def test_a_directory_appears_at_the_end_of_the_block(tmp_path: Path) -> None:
    target = tmp_path / "models" / "out"
    with exported(target) as unfinished:
        (unfinished / "weights").write_bytes(b"w")
        assert not target.exists()
    assert (target / "weights").read_bytes() == b"w"


def test_an_error_in_the_block_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError), exported(tmp_path / "out") as unfinished:
        (unfinished / "weights").write_bytes(b"w")
        raise KeyError
    with pytest.raises(StoreError, match="Exporting to") as caught, exported(tmp_path / "out"):
        raise OSError(28, "No space left on device")
    assert "nothing was exported" in caught.value.kept
    assert list(tmp_path.iterdir()) == []


def test_only_a_new_or_an_empty_directory_is_free(tmp_path: Path) -> None:
    require_free(tmp_path / "new")
    (tmp_path / "empty").mkdir()
    require_free(tmp_path / "empty")
    (tmp_path / "file").touch()
    for taken in (tmp_path, tmp_path / "file"):
        with pytest.raises(StoreError, match="is there already"):
            require_free(taken)


def test_the_record_names_every_file_with_its_checksum(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "one").write_bytes(b"1")
    (tmp_path / "two").write_bytes(b"22")
    record(tmp_path, {"format": "hf", "version": 3}, {"two": "known"})
    assert json.loads((tmp_path / RECORD).read_text()) == {
        "format": "hf",
        "version": 3,
        "files": {"below/one": hashlib.sha256(b"1").hexdigest(), "two": "known"},
    }
    assert file_sha256(tmp_path / "two") == hashlib.sha256(b"22").hexdigest()
