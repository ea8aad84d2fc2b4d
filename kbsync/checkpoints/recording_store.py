"""Artifact stores around another: one remembers what went into an edit, one lets an edit run without leaving a trace."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import cached_property

from kbsync.domain.recipe import Recipe
from kbsync.domain.rewrite import Preserved, Rewrite
from kbsync.ports import ArtifactStore, Edit, Editor, Work

MakeEditor = Callable[[ArtifactStore], Editor]


class Recording(ArtifactStore):
    """Passes everything on; ``used`` maps ``kind/key`` of all that was read or written to the SHA-256 of its content."""

    def __init__(self, store: ArtifactStore) -> None:
        self._store = store
        self.used: dict[str, str] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        data = self._store.get(kind, key)
        if data is not None:
            self._note(kind, key, data)
        return data

    def put(self, kind: str, key: str, data: bytes) -> None:
        self._store.put(kind, key, data)
        self._note(kind, key, data)

    def drop(self, kind: str, key: str) -> None:
        self._store.drop(kind, key)
        self.used.pop(f"{kind}/{key}", None)

    def _note(self, kind: str, key: str, data: bytes) -> None:
        self.used[f"{kind}/{key}"] = hashlib.sha256(data).hexdigest()


class Traceless(ArtifactStore):
    """Reads from ``store`` but for ``anew`` (kinds, which are never found there); what is written stays in memory until ``keep``."""

    def __init__(self, store: ArtifactStore, anew: Collection[str] = ()) -> None:
        self._store, self._anew = store, anew
        self._written: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        if (kind, key) in self._written:
            return self._written[kind, key]
        return None if kind in self._anew else self._store.get(kind, key)

    def put(self, kind: str, key: str, data: bytes) -> None:
        self._written.setdefault((kind, key), data)

    def drop(self, kind: str, key: str) -> None:
        """Forgets what was written here; ``store`` stays as it is."""
        self._written.pop((kind, key), None)

    def keep(self) -> None:
        """Store after all what was written."""
        for (kind, key), data in self._written.items():
            self._store.put(kind, key, data)


class RecordingEditor(Editor):
    """The editor that ``make`` builds, at the first edit, over an artifact store, with all that it takes from there on record."""

    def __init__(self, artifacts: ArtifactStore, make: MakeEditor) -> None:
        self._recording, self._make = Recording(artifacts), make

    @cached_property
    def _editor(self) -> Editor:
        return self._make(self._recording)

    def edit(
        self, rewrites: Sequence[Rewrite], recipe: Recipe, work: Work, *, guards: Sequence[Preserved] = ()
    ) -> Edit:
        self._recording.used = {}
        made = self._editor.edit(rewrites, recipe, work, guards=guards)
        return replace(made, artifacts=self._recording.used)
