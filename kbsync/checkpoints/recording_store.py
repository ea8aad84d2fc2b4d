"""Artifact stores around another one: one records what went into an edit, one lets an edit run without writing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.ports import ArtifactStore, Edit, Editor, Work

MakeEditor = Callable[[ArtifactStore], Editor]
DERIVED = {"factor": "covariance"}
"""Kinds that are not recorded, each with the kind that its blobs follow from, under whose digests they are kept. So a
version's record, and with it its hash, does not depend on what is kept to save time."""


class RecordingStore(ArtifactStore):
    """Passes everything on, and records what was read and written, but for what is ``DERIVED``."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self.used: dict[str, str] = {}
        """By ``kind/key``, the SHA-256 of the content of every blob that was read or written."""

    def get(self, kind: str, key: str) -> bytes | None:
        """What the other store holds."""
        data = self._store.get(kind, key)
        if data is not None:
            self._record(kind, key, data)
        return data

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Store in the other store."""
        self._store.put(kind, key, data)
        self._record(kind, key, data)

    def drop(self, kind: str, key: str) -> None:
        """Drop from the other store and from the record: the edit does not rest on the blob any more."""
        self._store.drop(kind, key)
        self.used.pop(f"{kind}/{key}", None)

    def _record(self, kind: str, key: str, data: bytes) -> None:
        if kind not in DERIVED:
            self.used[f"{kind}/{key}"] = hashlib.sha256(data).hexdigest()


def with_derived(recorded: Mapping[str, str]) -> set[str]:
    """The names of the recorded blobs, and of those that are kept because they follow from them.

    Args:
        recorded: The SHA-256 of each blob's content, by ``kind/key``.
    """
    kinds = [(derived, f"{source}/") for derived, source in DERIVED.items()]
    return {*recorded} | {
        f"{derived}/{digest}"
        for derived, prefix in kinds
        for name, digest in recorded.items()
        if name.startswith(prefix)
    }


class OverlayStore(ArtifactStore):
    """Reads from another store, and keeps in memory what is written until ``commit``."""

    def __init__(self, store: ArtifactStore, hidden: Collection[str] = ()) -> None:
        """``hidden``: kinds that are not read from ``store``, so that they are computed again."""
        self._store, self._hidden = store, hidden
        self._written: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        """What was written here, or else what the other store holds."""
        if (kind, key) in self._written:
            return self._written[kind, key]
        return None if kind in self._hidden else self._store.get(kind, key)

    def put(self, kind: str, key: str, data: bytes) -> None:
        """Keep in memory; the first content of a key stays."""
        self._written.setdefault((kind, key), data)

    def drop(self, kind: str, key: str) -> None:
        """Forget what was written here; the other store stays as it is."""
        self._written.pop((kind, key), None)

    def commit(self) -> None:
        """Store in the other store what was written here."""
        for (kind, key), data in self._written.items():
            self._store.put(kind, key, data)


class RecordingEditor(Editor):
    """An editor whose edits name every artifact that they rest on."""

    def __init__(self, artifacts: ArtifactStore, make: MakeEditor) -> None:
        """``make`` builds the editor over the artifact store that it is given."""
        self._recording = RecordingStore(artifacts)
        self._editor = make(self._recording)

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        """Edit, with ``artifacts`` filled in."""
        self._recording.used = {}
        edit = self._editor.edit(rewrites, recipe, work, guards=guards)
        return replace(edit, artifacts=self._recording.used)
