"""Exported directories, which are used without kbsync: each appears whole or not at all, and says what it is."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kbsync.checkpoints.os_errors import explained
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import StoreError
from kbsync.system.durable import make_directory, new_directory

KEPT = "The version and the base were not changed, and nothing was exported."
RECORD = "kbsync.json"
"""What the exported directory is, for people and programs: version, version hash, base, format, checksums of its
files."""


Finish = Callable[[Path, Mapping[str, Any]], None]
"""Adds files to a directory that is whole but for ``kbsync.json``, and gets what that will say."""


def no_more(_directory: Path, _about: Mapping[str, Any]) -> None:
    """Adds nothing."""


def require_free(directory: Path) -> None:
    """Raise ``StoreError`` unless ``directory`` is new or empty."""
    target = directory.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise StoreError(f"{target} is there already.", kept=KEPT, next_step="Name a new or an empty directory.")


@contextmanager
def exported(directory: Path) -> Iterator[Path]:
    """Open a temporary directory that becomes ``directory`` at the end of the block.

    Raises:
        StoreError: ``directory`` is there already and is not empty, or can't be written.
    """
    target = directory.expanduser().absolute()
    with explained(f"exporting to {target}", kept=KEPT):
        require_free(target)
        make_directory(target.parent)
        with new_directory(target) as unfinished:
            yield unfinished


def record(directory: Path, about: Mapping[str, Any], known: Mapping[str, str] = MappingProxyType({})) -> None:
    """Write ``kbsync.json``; call it last, since the file holds the SHA-256 of every other one.

    Args:
        directory: The exported directory.
        about: What it is: version, version hash, base, format.
        known: By file name, checksums that need not be computed again.
    """
    paths = {str(p.relative_to(directory)): p for p in sorted(directory.rglob("*")) if p.is_file()}
    files = {name: known.get(name) or file_sha256(path) for name, path in paths.items()}
    (directory / RECORD).write_text(canonical_json({**about, "files": files}) + "\n", encoding="utf-8")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, which may be larger than the memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
