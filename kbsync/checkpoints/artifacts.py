"""Target vectors and covariances as files: each with its checksum, each written whole or not at all."""

from __future__ import annotations

import hashlib
import re

from kbsync.checkpoints.os_errors import explained
from kbsync.checkpoints.storage import Entry, Storage
from kbsync.domain.errors import StoreError
from kbsync.ports import ArtifactStore

_MAGIC = b"kbsync-artifact 1 "
_HEADER = len(_MAGIC) + 64 + 1
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,199}\Z")
_DAMAGED = ".damaged-"


class FileArtifactStore(ArtifactStore):
    """Blobs as files ``<kind>/<key[:2]>/<key>``: a line with the SHA-256 of the content, then the content.

    ``kind`` is a lower-case word, ``key`` begins with a letter or digit and goes on with those, ``.``, ``_`` and
    ``-``; anything else is a ``ValueError``, so that no name leaves the store or meets a temporary one. A file that
    can't be read or written is a ``StoreError``.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage

    def get(self, kind: str, key: str) -> bytes | None:
        """The content; None where it is absent, or damaged and therefore set aside."""
        name = file_name(kind, key)
        with explained(f"reading the artifact {self.storage.where(name)}", kept="It was not changed."):
            try:
                stored = self.storage.read(name)
            except FileNotFoundError:
                return None
            header, content = stored[:_HEADER], stored[_HEADER:]
            if header == _header(content):
                return content
            self.storage.rename(name, name.removesuffix(key) + _DAMAGED + key)
        return None

    def put(self, kind: str, key: str, data: bytes) -> None:
        """What is there and sound stays, so that all readers of a key see the same bytes for ever."""
        name = file_name(kind, key)
        if self.get(kind, key) is not None:
            return
        kept = "All artifacts that were there are still there; this one can be computed again."
        with explained(f"writing the artifact {self.storage.where(name)} ({len(data):,} bytes)", kept=kept):
            self.storage.write(name, data, head=_header(data))

    def drop(self, kind: str, key: str) -> None:
        """Remove a blob; nothing happens where there is none."""
        name = file_name(kind, key)
        with explained(
            f"removing the artifact {self.storage.where(name)}", kept="All other artifacts are still there."
        ):
            self.storage.remove(name)

    def names(self) -> list[str]:
        """``kind/key`` of everything that is stored, sorted."""
        with explained(f"listing {self.storage.where()}", kept="Nothing was changed."):
            parts = [name.split("/") for name in self.storage.files()]
        stored = (three for three in parts if len(three) == 3)
        return sorted(f"{kind}/{key}" for kind, _, key in stored if _KIND.match(kind) and _KEY.match(key))

    def digest(self, name: str) -> str:
        """SHA-256 of the content of ``kind/key``, all of it read; raises ``StoreError`` where its checksum is
        another."""
        entry = self.entry(name)
        with explained(f"reading the artifact {entry}", kept="It was not changed."):
            stored = entry.read()
        if stored[:_HEADER] != _header(stored[_HEADER:]):
            next_step = "It is set aside and computed again when it is needed."
            what = f"{entry} does not match its own checksum."
            raise StoreError(what, kept="It was not changed.", next_step=next_step)
        return hashlib.sha256(stored[_HEADER:]).hexdigest()

    def remove(self, name: str) -> None:
        """Remove ``kind/key``; for the holder of the writer's lease."""
        self.drop(*_split(name))

    def entry(self, name: str) -> Entry:
        """Where ``kind/key`` is stored, whether or not it is there."""
        return Entry(self.storage, file_name(*_split(name)))

    def damaged(self) -> list[Entry]:
        """Files that were set aside because their content did not match their checksum."""
        entries = (Entry(self.storage, name) for name in self.storage.files())
        return [entry for entry in entries if entry.last.startswith(_DAMAGED)]

    def unfinished(self) -> list[Entry]:
        """What killed writes left, and what writes at work have not finished."""
        return [Entry(self.storage, name) for name in self.storage.unfinished()]

    def clean_temporary(self) -> list[Entry]:
        """Remove what killed writes left, and return it; for a process that knows itself to be the only writer."""
        with explained(f"clearing up {self.storage.where()}", kept="Everything that is complete was kept."):
            return [Entry(self.storage, name) for name in self.storage.remove_unfinished()]


def file_name(kind: str, key: str) -> str:
    """The name of a blob's file in the storage; raises ``ValueError`` for what can't be a kind or a key."""
    if not _KIND.match(kind):
        raise ValueError(f"{kind!r} can't be the kind of an artifact")
    if not _KEY.match(key):
        raise ValueError(f"{key!r} can't be the key of an artifact")
    return f"{kind}/{key[:2]}/{key}"


def _split(name: str) -> tuple[str, str]:
    kind, _, key = name.partition("/")
    return kind, key


def _header(content: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n"
