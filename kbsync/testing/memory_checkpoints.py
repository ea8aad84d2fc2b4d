"""A checkpoint store in memory for any delta; passes the conformance suite beside the one on files."""

from __future__ import annotations

from dataclasses import replace

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import NotFound, StoreError
from kbsync.domain.version import Evaluation, Manifest
from kbsync.ports import CheckpointStore, Delta, StoredVersion


class MemoryCheckpointStore(CheckpointStore):
    """Versions in a dictionary; a delta is hashed by its ``repr``."""

    def __init__(self) -> None:
        self.versions: dict[str, tuple[Manifest, Delta]] = {}
        self.evaluations: dict[str, Evaluation] = {}
        self.damaged: set[str] = set()
        """Hashes of versions that behave as if a byte of them were wrong."""

    def write(self, manifest: Manifest, delta: Delta) -> str:
        if manifest.factors != self.factor_hashes(delta):
            raise StoreError("The manifest's factor hashes are not those of the factors.")
        version_hash = manifest.version_hash
        if version_hash not in self.versions or version_hash in self.damaged:
            self.versions[version_hash] = (manifest, delta)
        self.damaged.discard(version_hash)
        return version_hash

    def factor_hashes(self, delta: Delta) -> dict[str, str]:
        return {name: content_hash([name, repr(delta)]) for name in delta.parameters}

    def read(self, version_hash: str) -> StoredVersion[Delta]:
        if version_hash not in self.versions:
            raise NotFound(f"There is no version {version_hash}.")
        if version_hash in self.damaged:
            raise StoreError(f"Version {version_hash} has a wrong byte.")
        return StoredVersion(*self.versions[version_hash])

    def annotate(self, version_hash: str, evaluation: Evaluation) -> None:
        if version_hash in self.versions:
            self.evaluations[version_hash] = replace(evaluation, outcomes=())

    def evaluation(self, version_hash: str) -> Evaluation | None:
        if version_hash not in self.versions:
            raise NotFound(f"There is no version {version_hash}.")
        return self.evaluations.get(version_hash)

    def hashes(self) -> list[str]:
        return sorted(self.versions)

    def verify(self, version_hash: str) -> None:
        self.read(version_hash)
