"""An artifact store in memory; passes the conformance suite beside the one on files."""

from __future__ import annotations

import hashlib

from kbsync.ports import ArtifactStore


class MemoryArtifactStore(ArtifactStore):
    """Blobs in a dictionary that tests may change."""

    def __init__(self) -> None:
        self.blobs: dict[tuple[str, str], tuple[str, bytes]] = {}
        """By kind and key, the SHA-256 and the content."""
        self.damaged: dict[tuple[str, str], bytes] = {}
        """By kind and key, what was found damaged and set aside."""

    def get(self, kind: str, key: str) -> bytes | None:
        if (kind, key) not in self.blobs:
            return None
        digest, data = self.blobs[kind, key]
        if hashlib.sha256(data).hexdigest() == digest:
            return data
        self.damaged[kind, key] = self.blobs.pop((kind, key))[1]
        return None

    def put(self, kind: str, key: str, data: bytes) -> None:
        if self.get(kind, key) is None:
            self.blobs[kind, key] = (hashlib.sha256(data).hexdigest(), data)

    def drop(self, kind: str, key: str) -> None:
        self.blobs.pop((kind, key), None)
