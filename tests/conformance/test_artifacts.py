"""The artifact stores: the fake in memory, and the one on files, on a disk and at URLs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kbsync.checkpoints.artifacts import FileArtifactStore
from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.remote import open_remote
from kbsync.checkpoints.storage import Storage
from kbsync.testing import MemoryArtifactStore
from kbsync.testing.conformance import ArtifactStoreConformance, Damage
from tests.support.remotes import KINDS, remote


def flip(data: bytes) -> bytes:
    return data[:-1] + bytes([data[-1] ^ 1])


class TestMemoryArtifactStore(ArtifactStoreConformance):
    @pytest.fixture
    def store(self) -> MemoryArtifactStore:
        return MemoryArtifactStore()

    @pytest.fixture
    def damage(self, store: MemoryArtifactStore) -> Damage:
        def damage(kind: str, key: str) -> None:
            digest, data = store.blobs[kind, key]
            store.blobs[kind, key] = (digest, flip(data))

        return damage


class TestFileArtifactStore(ArtifactStoreConformance):
    @pytest.fixture(params=["disk", *KINDS])
    def storage(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
        if request.param == "disk":
            yield DiskStorage(tmp_path / "artifacts")
        else:
            with remote(request.param, tmp_path) as (url, options):
                yield open_remote(url, options).below("artifacts")

    @pytest.fixture
    def store(self, storage: Storage) -> FileArtifactStore:
        return FileArtifactStore(storage)

    @pytest.fixture
    def damage(self, storage: Storage) -> Damage:
        def damage(kind: str, key: str) -> None:
            name = f"{kind}/{key[:2]}/{key}"
            storage.write(name, flip(storage.read(name)))

        return damage
