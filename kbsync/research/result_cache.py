"""Finished parts of a benchmark, kept by what they were computed from: a killed run goes on where it stopped."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import kbsync
from kbsync.domain.canonical import canonical_json, content_hash
from kbsync.ports import ArtifactStore

_LIBRARIES = ("torch", "transformers", "tokenizers")
EDITED_BY = ("domain", "editing", "model", "text")
"""Packages whose code shapes the weights of an edit, or a trace."""
MEASURED_BY = ("domain", "model", "research")
"""Packages whose code computes the figures of a measurement."""


def code_hash(packages: Iterable[str]) -> str:
    """SHA-256 of the source files of these packages of kbsync, so that results of other code have other keys.

    Raises:
        ValueError: There is no such package; its code would silently be left out.
    """
    digest = hashlib.sha256()
    root = Path(kbsync.__file__).parent
    names = sorted(packages)
    if missing := [name for name in names if not (root / name).is_dir()]:
        raise ValueError(f"kbsync has no package {', '.join(missing)}")
    for path in sorted(path for name in names for path in (root / name).rglob("*.py")):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


class ResultCache:
    """JSON values by what they were computed from.

    The key holds what the caller names, the source code of ``packages`` and the versions of the libraries that compute.
    """

    def __init__(self, store: ArtifactStore, kind: str, packages: Iterable[str]) -> None:
        self._store = store
        self._kind = kind
        self._made_by = [code_hash(packages), {name: version(name) for name in _LIBRARIES}]

    def get(self, **inputs: Any) -> Any | None:
        """The finished part, or None."""
        stored = self._store.get(self._kind, self._key(inputs))
        return None if stored is None else json.loads(stored)

    def make(self, compute: Callable[[], Any], **inputs: Any) -> Any:
        """The finished part; if there is none, it is computed and kept."""
        known = self.get(**inputs)
        if known is None:
            known = compute()
            self._store.put(self._kind, self._key(inputs), canonical_json(known).encode())
        return known

    def put(self, value: Any, **inputs: Any) -> None:
        """Keep a value in place of the present one."""
        key = self._key(inputs)
        self._store.drop(self._kind, key)
        self._store.put(self._kind, key, canonical_json(value).encode())

    def _key(self, inputs: dict[str, Any]) -> str:
        return content_hash([self._made_by, inputs])
