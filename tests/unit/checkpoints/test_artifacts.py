"""The artifact store on files: names, checksums, failing disks, killed processes."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbsync.checkpoints.artifacts import FileArtifactStore, file_name
from kbsync.checkpoints.disk import DiskStorage
from kbsync.domain.errors import StoreError
from tests.support.file_faults import failing, killed, limited_file_size


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "artifacts"


@pytest.fixture
def store(root: Path) -> FileArtifactStore:
    return FileArtifactStore(DiskStorage(root))


def test_the_layout_and_the_header(store: FileArtifactStore, root: Path) -> None:
    store.put("target", "abcdef", b"abc")
    stored = (root / "target" / "ab" / "abcdef").read_bytes()
    digest = b"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # SHA-256 of "abc", FIPS 180-2
    assert stored == b"kbsync-artifact 1 " + digest + b"\nabc"


def test_nothing_is_created_by_reading(store: FileArtifactStore, root: Path) -> None:
    assert store.get("target", "abc") is None
    assert store.clean_temporary() == store.damaged() == []
    assert not root.exists()


@pytest.mark.parametrize("position", [0, 20, 83, 84, -1])
@pytest.mark.parametrize("cut", [False, True])
def test_any_wrong_or_missing_byte_is_noticed(store: FileArtifactStore, root: Path, position: int, cut: bool) -> None:
    store.put("target", "abc", b"some content")
    path = root / "target" / "ab" / "abc"
    data = bytearray(path.read_bytes())
    data[position] ^= 0x20
    path.write_bytes(data[:position] if cut else data)
    assert store.get("target", "abc") is None
    assert [str(entry) for entry in store.damaged()] == [str(path.with_name(".damaged-abc"))]
    assert not path.exists()


@pytest.mark.slow
@given(st.text(max_size=12))
def test_no_name_leaves_the_store(name: str) -> None:
    root = Path("/nowhere/artifacts")
    for kind, key in ((name, "abc"), ("target", name)):
        try:
            path = root / file_name(kind, key)
        except ValueError:
            continue
        assert path.is_relative_to(root)
        assert ".." not in path.parts
        assert len(path.relative_to(root).parts) == 3
        assert not path.name.startswith(".")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", ".tmp", "a\0", "a\n", "x" * 201, "é", "a b"])
def test_names_that_are_refused(store: FileArtifactStore, name: str) -> None:
    for kind, key in ((name, "abc"), ("target", name)):
        with pytest.raises(ValueError, match="can't be the"):
            store.put(kind, key, b"")
        with pytest.raises(ValueError, match="can't be the"):
            store.get(kind, key)


@pytest.mark.parametrize("step", ["open", "write", "fsync", "rename"])
def test_a_full_disk_leaves_nothing_half_done(
    store: FileArtifactStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    store.put("target", "ab-old", b"old")
    with failing(monkeypatch, step, errno.ENOSPC), pytest.raises(StoreError) as caught:
        store.put("target", "ab-new", b"new")
    assert "No space left on device" in caught.value.what
    assert "still there" in caught.value.kept
    assert "Make room" in caught.value.next_step
    assert (store.get("target", "ab-old"), store.get("target", "ab-new")) == (b"old", None)
    assert store.clean_temporary() == []
    store.put("target", "ab-new", b"new")
    assert store.get("target", "ab-new") == b"new"


def test_a_write_that_the_kernel_breaks_off_leaves_nothing(store: FileArtifactStore) -> None:
    with limited_file_size(100_000), pytest.raises(StoreError, match="File too large"):
        store.put("target", "ab-new", bytes(200_000))
    assert store.get("target", "ab-new") is None
    assert store.clean_temporary() == []


def test_a_directory_that_can_not_be_written(store: FileArtifactStore, monkeypatch: pytest.MonkeyPatch) -> None:
    with failing(monkeypatch, "mkdir", errno.EROFS), pytest.raises(StoreError, match="Give the user") as caught:
        store.put("target", "ab-new", b"new")
    assert not caught.value.transient


def test_a_file_where_the_store_should_be(tmp_path: Path) -> None:
    (tmp_path / "artifacts").write_text("in the way")
    store = FileArtifactStore(DiskStorage(tmp_path / "artifacts"))
    with pytest.raises(StoreError, match="move it away"):
        store.get("target", "abc")


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_kill_leaves_the_old_state_and_a_leftover_that_is_cleaned(
    store: FileArtifactStore, root: Path, step: str
) -> None:
    store.put("target", "ab-old", b"old")
    assert killed(step, lambda: store.put("target", "ab-new", b"new"))
    assert (store.get("target", "ab-old"), store.get("target", "ab-new")) == (b"old", None)
    assert len(store.clean_temporary()) == 1
    assert [p.name for p in root.rglob("*") if p.is_file()] == ["ab-old"]


def test_a_put_that_returned_survives_the_process(store: FileArtifactStore) -> None:
    child = os.fork()
    if not child:
        store.put("target", "ab-new", b"new")
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert store.get("target", "ab-new") == b"new"
