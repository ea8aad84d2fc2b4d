"""Caches of what an edit computes on its way: target vectors, covariances, sampled contexts."""

from __future__ import annotations

import hashlib
from pathlib import Path

from kbsync.ports import ArtifactStore
from kbsync.system.durable import make_directory, write_file


class MemoryArtifacts(ArtifactStore):
    """A cache that lives as long as the object: hand the same one to several edits."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], bytes] = {}
        """SHA-256 (32 bytes) and content, by kind and key."""

    def get(self, kind: str, key: str) -> bytes | None:
        """The content, or None where there is none."""
        return _verified(self.blobs.get((kind, key), b""))

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Keep ``data``; what is there stays."""
        if self.get(kind, key) is None:
            self.blobs[kind, key] = _sealed(data)

    def drop(self, kind: str, key: str) -> None:
        """Forget a blob, whether or not it is there."""
        self.blobs.pop((kind, key), None)


class DirectoryArtifacts(ArtifactStore):
    """A cache in a directory of its own, which may serve many models and programs: keys are content hashes."""

    def __init__(self, directory: str | Path) -> None:
        """The directory is made when something is put into it."""
        self.directory = Path(directory)

    def get(self, kind: str, key: str) -> bytes | None:
        """The content, or None where there is none or where its checksum is wrong."""
        try:
            return _verified(self._path(kind, key).read_bytes())
        except FileNotFoundError:
            return None

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Write under a temporary name, fsync, rename; what is there and sound stays."""
        if self.get(kind, key) is None:
            path = self._path(kind, key)
            make_directory(path.parent)
            write_file(path, _sealed(data))

    def drop(self, kind: str, key: str) -> None:
        """Remove a blob, whether or not it is there."""
        self._path(kind, key).unlink(missing_ok=True)

    def _path(self, kind: str, key: str) -> Path:
        return self.directory / kind / key


def artifact_store(artifacts: ArtifactStore | str | Path | None) -> ArtifactStore:
    """A store as it is, one in a directory, or, for None, one in memory that nobody else has."""
    if artifacts is None:
        return MemoryArtifacts()
    return DirectoryArtifacts(artifacts) if isinstance(artifacts, str | Path) else artifacts


def _sealed(data: bytes) -> bytes:
    return hashlib.sha256(data).digest() + data


def _verified(sealed: bytes) -> bytes | None:
    digest, data = sealed[:32], sealed[32:]
    return data if hashlib.sha256(data).digest() == digest else None
