"""Directories that are to be used without kbsync: each appears whole or not at all, and says what it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kbsync.checkpoints.files import explained
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import StoreError
from kbsync.system.durable import make_directory, new_directory

KEPT = "The version and the base were not changed, and nothing was exported."
RECORD = "kbsync.json"
"""What the exported directory is, for people and programs: version, version hash, base, format, checksums of its files."""


def require_free(directory: Path) -> None:
    """Raise ``StoreError`` unless ``directory`` is new or empty."""
    target = directory.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"{target} is there already.", kept=KEPT, next_step="Name a new or an empty directory.")


@contextmanager
def exported(directory: Path) -> Iterator[Path]:
    """A temporary directory that becomes ``directory`` at the end of the block; an existing one that is not empty is
    refused (``StoreError``)."""
    target = directory.expanduser().absolute()
    with explained(f"exporting to {target}", kept=KEPT):
        require_free(target)
        make_directory(target.parent)
        with new_directory(target) as unfinished:
            yield unfinished


def record(directory: Path, about: Mapping[str, Any], known: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write ``kbsync.json``, last: it holds the SHA-256 of every other file, of which some may be ``known`` by name."""
    paths = {str(p.relative_to(directory)): p for p in sorted(directory.rglob("*")) if p.is_file()}
    files = {name: known.get(name) or file_sha256(path) for name, path in paths.items()}
    (directory / RECORD).write_text(canonical_json({**about, "files": files}) + "\n", encoding="utf-8")


def file_sha256(path: Path) -> str:
    """Of a file that may be larger than the memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
