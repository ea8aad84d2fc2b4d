"""The checkpoint store on files: bytes, failing disks, killed processes."""

from __future__ import annotations

import errno
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.store import EVALUATION, FACTORS, MANIFEST, FileCheckpointStore
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import NotFound, StoreError
from kbsync.domain.version import EditReport, Manifest
from kbsync.testing.samples import evaluation, make_manifest
from tests.support.delta_samples import make_delta
from tests.support.file_faults import failing, killed


@pytest.fixture
def store(tmp_path: Path) -> FileCheckpointStore:
    return FileCheckpointStore(DiskStorage(tmp_path))


def write(store: FileCheckpointStore, seed: int = 0) -> tuple[Manifest, Path]:
    manifest = make_manifest(store.factor_hashes(make_delta(seed)))
    return manifest, Path(str(store.directory(store.write(manifest, make_delta(seed)))))


def test_the_files_of_a_version(store: FileCheckpointStore) -> None:
    manifest, directory = write(store)
    assert sorted(p.name for p in directory.iterdir()) == [FACTORS, MANIFEST]
    envelope = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
    assert envelope["version_hash"] == manifest.version_hash == directory.name
    assert canonical_json(envelope["manifest"]) == canonical_json(manifest)
    with safe_open(directory / FACTORS, "pt") as file:
        name = "model.layers.9.mlp.down_proj.weight"
        assert set(file.keys()) == {
            f"model.layers.{n}.mlp.down_proj.weight.{s}" for n in (9, 10) for s in ("left", "right")
        }
        assert torch.equal(file.get_tensor(f"{name}.left"), make_delta().factors[name][0])


@pytest.mark.slow
@pytest.mark.parametrize(("name", "step"), [(MANIFEST, 7), (FACTORS, 1)])
def test_every_single_byte_is_checked(store: FileCheckpointStore, name: str, step: int) -> None:
    """Every byte of the factors, and of the longer manifest enough to meet each field."""
    _, directory = write(store)
    path = directory / name
    whole = path.read_bytes()
    for position in range(0, len(whole), step):
        wrong = bytearray(whole)
        wrong[position] ^= 1 << position // step % 8
        path.write_bytes(wrong)
        with pytest.raises(StoreError) as caught:
            store.verify(directory.name)
        assert str(directory) in caught.value.what
        assert name in caught.value.what
    for cut in (b"", whole[:-1], whole + b"\0"):
        path.write_bytes(cut)
        with pytest.raises(StoreError, match=name):
            store.verify(directory.name)
    path.unlink()
    with pytest.raises(StoreError, match=f"{name} failed: No such file .*kbsync rollback"):
        store.read(directory.name)


def test_files_of_another_version_are_noticed(store: FileCheckpointStore) -> None:
    (_, first), (_, second) = write(store, 0), write(store, 1)
    for name in (MANIFEST, FACTORS):
        own = (first / name).read_bytes()
        (first / name).write_bytes((second / name).read_bytes())
        with pytest.raises(StoreError, match=name):
            store.verify(first.name)
        (first / name).write_bytes(own)
    store.verify(first.name)


def test_a_manifest_with_a_number_that_json_can_not_say(store: FileCheckpointStore) -> None:
    delta = make_delta()
    manifest = replace(make_manifest(store.factor_hashes(delta)), report=EditReport(layers=(), seconds=float("inf")))
    with pytest.raises(StoreError, match="manifest can't be written"):
        store.write(manifest, delta)
    assert store.hashes() == []


def test_a_removed_version_keeps_its_manifest(store: FileCheckpointStore) -> None:
    manifest, directory = write(store)
    other, _ = write(store, 1)
    store.remove(directory.name)
    assert store.hashes() == [other.version_hash]
    assert store.removed() == [directory.name]
    assert store.manifest(directory.name) == manifest
    store.verify(directory.name)
    with pytest.raises(NotFound, match=r"removed by gc.*--repair"):
        store.read(directory.name)
    write(store)
    assert store.removed() == []
    assert store.read(directory.name)[0] == manifest
    assert store.explanations.names() == []


@pytest.mark.parametrize("step", ["write", "fsync", "rename", "replace"])
def test_a_kill_while_removing_leaves_a_version_that_is_stored_or_removed(
    store: FileCheckpointStore, step: str
) -> None:
    manifest, directory = write(store)
    assert killed(step, lambda: store.remove(directory.name))
    store.clean_temporary()
    assert (directory.name in store.hashes()) != (directory.name in store.removed())
    assert store.manifest(directory.name) == manifest
    write(store)
    store.verify(directory.name)
    assert [name for name in store.versions.names() if name.startswith(".unfinished")] == []


def test_a_version_that_can_not_be_explained_is_not_removed(store: FileCheckpointStore) -> None:
    _, directory = write(store)
    (directory / MANIFEST).write_bytes(b"{}")
    with pytest.raises(StoreError, match=MANIFEST):
        store.remove(directory.name)
    assert (directory / FACTORS).is_file()


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_failing_disk_leaves_the_old_versions(
    store: FileCheckpointStore, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    _, old = write(store)
    with failing(monkeypatch, step, number), pytest.raises(StoreError) as caught:
        write(store, 1)
    assert "All versions that were stored are still there" in caught.value.kept
    assert ("Make room" if number == errno.ENOSPC else "Give the user") in caught.value.next_step
    assert store.hashes() == [old.name]
    store.verify(old.name)
    assert store.versions.names() == [old.name]
    _, new = write(store, 1)
    assert store.hashes() == sorted([old.name, new.name])


@pytest.mark.parametrize("step", ["write", "fsync", "rename"])
def test_a_kill_leaves_the_old_versions_and_a_leftover_that_is_cleaned(store: FileCheckpointStore, step: str) -> None:
    _, old = write(store)
    assert killed(step, lambda: write(store, 1))
    assert store.hashes() == [old.name]
    assert len(store.clean_temporary()) == 1
    assert store.versions.names() == [old.name]
    _, new = write(store, 1)
    store.verify(new.name)


def test_a_damaged_version_is_set_aside_when_it_is_written_again(store: FileCheckpointStore) -> None:
    _, directory = write(store)
    (directory / FACTORS).write_bytes(b"rot")
    write(store)
    store.verify(directory.name)
    (aside,) = store.damaged()
    assert (Path(str(aside)) / FACTORS).read_bytes() == b"rot"
    assert store.hashes() == [directory.name]


def test_a_file_where_the_versions_should_be(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(StoreError, match="move it away"):
        write(FileCheckpointStore(DiskStorage(tmp_path / "state")))


def test_reading_creates_nothing(tmp_path: Path) -> None:
    store = FileCheckpointStore(DiskStorage(tmp_path / "state"))
    assert store.hashes() == []
    assert store.damaged() == store.clean_temporary() == []
    assert not (tmp_path / "state").exists()


def test_every_byte_of_an_evaluation_is_checked(store: FileCheckpointStore) -> None:
    manifest, directory = write(store)
    store.annotate(manifest.version_hash, evaluation(1))
    path = directory / EVALUATION
    whole = path.read_bytes()
    assert json.loads(whole)["evaluation"]["decision"]["passed"]
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(StoreError, match=EVALUATION):
            store.verify(manifest.version_hash)
    path.write_bytes(whole)
    other, elsewhere = write(store, 1)
    (elsewhere / EVALUATION).write_bytes(whole)
    with pytest.raises(StoreError, match="another version's"):
        store.verify(other.version_hash)
    store.annotate(other.version_hash, evaluation(2))
    store.verify(other.version_hash)
    assert EVALUATION in [entry.last for entry in store.files(other.version_hash)]
