"""The checkpoint stores: the fake in memory, and the one on files, on a disk and at URLs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from kbsync.checkpoints.disk import DiskStorage
from kbsync.checkpoints.remote import open_remote
from kbsync.checkpoints.storage import Storage
from kbsync.checkpoints.store import FACTORS, FileCheckpointStore
from kbsync.model.delta import FactorDelta
from kbsync.ports import Delta
from kbsync.testing import MemoryCheckpointStore
from kbsync.testing.conformance import CheckpointStoreConformance, VersionCase
from tests.support.remotes import KINDS, remote


@dataclass(frozen=True)
class WordDelta(Delta):
    """A delta that only has a name."""

    word: str

    @property
    def parameters(self) -> tuple[str, ...]:
        return ("table",)


class MemoryCase(VersionCase):
    def __init__(self) -> None:
        self.store: MemoryCheckpointStore = MemoryCheckpointStore()

    def delta(self, seed: int) -> WordDelta:
        return WordDelta(str(seed))

    def same(self, one: Delta, other: Delta) -> bool:
        return one == other

    def damage(self, version_hash: str) -> None:
        self.store.damaged.add(version_hash)


class FileCase(VersionCase):
    def __init__(self, storage: Storage) -> None:
        self.store = FileCheckpointStore(storage)
        self._storage = storage

    def delta(self, seed: int) -> FactorDelta:
        return factors(seed)

    def same(self, one: Delta, other: Delta) -> bool:
        assert isinstance(one, FactorDelta)
        assert isinstance(other, FactorDelta)
        return set(one.factors) == set(other.factors) and all(
            torch.equal(a, b)
            for name in one.factors
            for a, b in zip(one.factors[name], other.factors[name], strict=True)
        )

    def damage(self, version_hash: str) -> None:
        name = f"versions/{version_hash}/{FACTORS}"
        data = self._storage.read(name)
        self._storage.write(name, data[:-1] + bytes([data[-1] ^ 1]))


def factors(seed: int) -> FactorDelta:
    generator = torch.Generator().manual_seed(seed)
    pair = (torch.randn(6, 2, generator=generator), torch.randn(2, 4, generator=generator))
    return FactorDelta(factors={"model.layers.1.mlp.down_proj.weight": pair})


class TestMemoryCheckpointStore(CheckpointStoreConformance):
    @pytest.fixture
    def case(self) -> MemoryCase:
        return MemoryCase()


class TestFileCheckpointStore(CheckpointStoreConformance):
    @pytest.fixture(params=["disk", *KINDS])
    def case(self, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[FileCase]:
        if request.param == "disk":
            yield FileCase(DiskStorage(tmp_path))
        else:
            with remote(request.param, tmp_path) as (url, options):
                yield FileCase(open_remote(url, options))
