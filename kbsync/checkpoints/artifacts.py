"""Target vectors and covariances as files: each with its checksum, each written whole or not at all."""

from __future__ import annotations

import hashlib
import re

from kbsync.checkpoints.files import explained
from kbsync.checkpoints.storage import Place, files_below, remove_unfinished, rename, write_file
from kbsync.domain.errors import StoreError
from kbsync.ports import ArtifactStore

_MAGIC = b"kbsync-artifact 1 "
_HEADER = len(_MAGIC) + 64 + 1
_KIND = re.compile(r"[a-z][a-z0-9_-]{0,63}\Z")
_KEY = re.compile(r"[0-9A-Za-z][0-9A-Za-z._-]{0,199}\Z")
_DAMAGED = ".damaged-"


class FileArtifactStore(ArtifactStore):
    """Blobs at ``<root>/<kind>/<key[:2]>/<key>`` on a disk or at a URL: a line with the SHA-256 of the content, then the content.

    ``kind`` is a lower-case word, ``key`` begins with a letter or digit and goes on with those, ``.``, ``_`` and
    ``-``; anything else is a ``ValueError``, so that no name leaves the store or meets a temporary one. A file that
    can't be read or written is a ``StoreError``.
    """

    def __init__(self, root: Place) -> None:
        self.root = root

    def get(self, kind: str, key: str) -> bytes | None:
        path = self._path(kind, key)
        with explained(f"reading the artifact {path}", kept="It was not changed."):
            try:
                stored = path.read_bytes()
            except FileNotFoundError:
                return None
            header, content = stored[:_HEADER], stored[_HEADER:]
            if header == _header(content):
                return content
            rename(path, path.with_name(f"{_DAMAGED}{key}"))
        return None

    def put(self, kind: str, key: str, data: bytes) -> None:
        """What is there and sound stays, so that all readers of a key see the same bytes for ever."""
        path = self._path(kind, key)
        if self.get(kind, key) is not None:
            return
        kept = "All artifacts that were there are still there; this one can be computed again."
        with explained(f"writing the artifact {path} ({len(data):,} bytes)", kept=kept):
            write_file(path, _header(data) + data)

    def drop(self, kind: str, key: str) -> None:
        path = self._path(kind, key)
        with explained(f"removing the artifact {path}", kept="All other artifacts are still there."):
            path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """``kind/key`` of everything that is stored, sorted."""
        with explained(f"listing {self.root}", kept="Nothing was changed."):
            found = (parts for parts in files_below(self.root) if len(parts) == 3)
            return sorted(f"{kind}/{key}" for kind, _, key in found if _KIND.match(kind) and _KEY.match(key))

    def digest(self, name: str) -> str:
        """SHA-256 of the content of ``kind/key``, all of it read; raises ``StoreError`` where its checksum is another."""
        path = self.path(name)
        with explained(f"reading the artifact {path}", kept="It was not changed."):
            stored = path.read_bytes()
        if stored[:_HEADER] != _header(stored[_HEADER:]):
            next_step = "It is set aside and computed again when it is needed."
            raise StoreError(
                f"{path} does not match its own checksum.", kept="It was not changed.", next_step=next_step
            )
        return hashlib.sha256(stored[_HEADER:]).hexdigest()

    def remove(self, name: str) -> None:
        """Remove ``kind/key``; to be called by the holder of the writer's lease."""
        with explained(f"removing the artifact {self.path(name)}", kept="All other artifacts are still there."):
            self.path(name).unlink(missing_ok=True)

    def path(self, name: str) -> Place:
        """Where ``kind/key`` is stored, whether or not it is there."""
        kind, _, key = name.partition("/")
        return self._path(kind, key)

    def damaged(self) -> list[Place]:
        """Files that were set aside because their content did not match their checksum."""
        return list(self.root.rglob(f"{_DAMAGED}*"))

    def clean_temporary(self) -> list[Place]:
        """Remove leftovers of killed writes; to be called by a process that knows itself to be the only writer."""
        with explained(f"clearing up {self.root}", kept="Everything that is complete was kept."):
            return remove_unfinished(self.root)

    def _path(self, kind: str, key: str) -> Place:
        if not _KIND.match(kind):
            raise ValueError(f"{kind!r} can't be the kind of an artifact")
        if not _KEY.match(key):
            raise ValueError(f"{key!r} can't be the key of an artifact")
        return self.root / kind / key[:2] / key


def _header(content: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(content).hexdigest().encode() + b"\n"
