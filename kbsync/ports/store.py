"""What lies on the disk: blobs that may be computed again, and versions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, NamedTuple, TypeVar

from kbsync.domain.version import Evaluation, Manifest
from kbsync.ports.model import Delta

D_co = TypeVar("D_co", bound=Delta, covariant=True)


class StoredVersion(NamedTuple, Generic[D_co]):
    """A version as it is stored: what explains it, and what it changes in the base."""

    manifest: Manifest
    delta: D_co


class ArtifactStore(ABC):
    """Content-keyed blobs (target vectors, covariances) that may be computed again, and so may be lost without harm."""

    @abstractmethod
    def get(self, kind: str, key: str) -> bytes | None:
        """The verified bytes; None when absent or damaged (a damaged one is set aside)."""

    @abstractmethod
    def put(self, kind: str, key: str, data: bytes) -> None:
        """Atomic (temporary name, fsync, rename); the same key twice is the same content."""

    @abstractmethod
    def drop(self, kind: str, key: str) -> None:
        """Forget a blob that is of no more use; one that is not there is no mistake."""


class CheckpointStore(ABC):
    """Immutable versions, by version hash."""

    @abstractmethod
    def write(self, manifest: Manifest, delta: Delta) -> str:
        """Store under a temporary name, fsync, rename, read back and verify; returns the version hash. Idempotent."""

    @abstractmethod
    def factor_hashes(self, delta: Delta) -> dict[str, str]:
        """SHA-256 of each parameter's factors as they would be stored."""

    @abstractmethod
    def read(self, version_hash: str) -> StoredVersion[Delta]:
        """Raises ``NotFound`` or, when a byte is wrong, ``StoreError``."""

    def manifest(self, version_hash: str) -> Manifest:
        """The manifest alone, which a store may keep of versions whose weights it removed. Raises as ``read`` does."""
        return self.read(version_hash).manifest

    @abstractmethod
    def annotate(self, version_hash: str, evaluation: Evaluation) -> None:
        """Keep with the version how it was measured and judged last, without the single answers. Nothing happens to one
        that is not stored. Raises ``StoreError``."""

    @abstractmethod
    def evaluation(self, version_hash: str) -> Evaluation | None:
        """What ``annotate`` kept. Raises as ``read`` does."""

    @abstractmethod
    def hashes(self) -> list[str]:
        """All complete versions."""

    @abstractmethod
    def verify(self, version_hash: str) -> None:
        """Hash every byte again; raises ``StoreError`` naming the file that is wrong."""
