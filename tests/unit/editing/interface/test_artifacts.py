"""The interface's caches are artifact stores like any other."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.editing.interface.artifacts import DirectoryArtifacts, MemoryArtifacts, artifact_store
from kbsync.testing.conformance import ArtifactStoreConformance, Damage


def flipped(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


class TestMemoryArtifacts(ArtifactStoreConformance):
    @pytest.fixture
    def store(self) -> MemoryArtifacts:
        return MemoryArtifacts()

    @pytest.fixture
    def damage(self, store: MemoryArtifacts) -> Damage:
        def damage(kind: str, key: str) -> None:
            store.blobs[kind, key] = flipped(store.blobs[kind, key])

        return damage


class TestDirectoryArtifacts(ArtifactStoreConformance):
    @pytest.fixture
    def store(self, tmp_path: Path) -> DirectoryArtifacts:
        return DirectoryArtifacts(tmp_path / "cache")

    @pytest.fixture
    def damage(self, store: DirectoryArtifacts) -> Damage:
        def damage(kind: str, key: str) -> None:
            path = store.directory / kind / key
            path.write_bytes(flipped(path.read_bytes()))

        return damage


def test_a_directory_outlives_the_object_and_holds_nothing_half_written(tmp_path: Path) -> None:
    DirectoryArtifacts(tmp_path).put("targets", "abc", b"content")
    assert DirectoryArtifacts(str(tmp_path)).get("targets", "abc") == b"content"
    assert [p.name for p in tmp_path.rglob("*") if p.is_file()] == ["abc"]


def test_what_may_be_given_as_a_cache(tmp_path: Path) -> None:
    mine = MemoryArtifacts()
    assert artifact_store(mine) is mine
    for directory in (tmp_path, str(tmp_path)):
        store = artifact_store(directory)
        assert isinstance(store, DirectoryArtifacts) and store.directory == tmp_path
    private = artifact_store(None)
    assert isinstance(private, MemoryArtifacts) and private is not artifact_store(None)
