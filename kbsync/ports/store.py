"""What is stored beside the ledger: versions, and blobs that may be computed again."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, NamedTuple, TypeVar

from kbsync.domain.version import Evaluation, Manifest
from kbsync.ports.model import Delta

D_co = TypeVar("D_co", bound=Delta, covariant=True)


class StoredVersion(NamedTuple, Generic[D_co]):
    """A version as it is stored."""

    manifest: Manifest
    """What explains it."""
    delta: D_co
    """What it changes in the base."""


class ArtifactStore(ABC):
    """Blobs under content keys (target vectors, covariances), which may be lost without harm: they are computed
    again."""

    @abstractmethod
    def get(self, kind: str, key: str) -> bytes | None:
        """The verified content; None when it is absent or damaged (a damaged blob is set aside)."""

    @abstractmethod
    def put(self, kind: str, key: str, data: bytes) -> None:
        """Store as a whole or not at all; the key covers the content, so a sound blob that is there stays."""

    @abstractmethod
    def drop(self, kind: str, key: str) -> None:
        """Remove a blob that is no longer needed; nothing happens where there is none."""


class CheckpointStore(ABC):
    """Immutable versions by their version hash."""

    @abstractmethod
    def write(self, manifest: Manifest, delta: Delta) -> str:
        """Store a version as a whole or not at all, and verify it before it has its name.

        A sound version that is there already stays as it is; a damaged one is replaced.

        Returns:
            The version hash.

        Raises:
            StoreError: The factors are not those that the manifest names, or can't be written.
        """

    @abstractmethod
    def factor_hashes(self, delta: Delta) -> dict[str, str]:
        """By parameter, the SHA-256 of its factors as they would be stored."""

    @abstractmethod
    def read(self, version_hash: str) -> StoredVersion[Delta]:
        """Read a version, every byte of it checked.

        Raises:
            NotFound: The version is not stored.
            StoreError: A byte is wrong, or a file can't be read.
        """

    def manifest(self, version_hash: str) -> Manifest:
        """The manifest alone, which a store may keep of versions whose weights it removed; raises as ``read`` does."""
        return self.read(version_hash).manifest

    @abstractmethod
    def annotate(self, version_hash: str, evaluation: Evaluation) -> None:
        """Keep with a version how it was last measured and judged, without the single answers.

        Nothing happens to a version that is not stored.

        Raises:
            StoreError: It can't be written.
        """

    @abstractmethod
    def evaluation(self, version_hash: str) -> Evaluation | None:
        """What ``annotate`` kept last; None before. Raises as ``read`` does."""

    @abstractmethod
    def hashes(self) -> list[str]:
        """All complete versions, sorted."""

    @abstractmethod
    def verify(self, version_hash: str) -> None:
        """Hash every byte again; raises as ``read`` does, naming the file that is wrong."""
