"""Files and directories that are complete or not there at all, whenever the process is killed."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNFINISHED = ".unfinished-"
"""How the names of what is not complete yet begin."""


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """A temporary directory beside ``target`` that becomes ``target`` when the block ends well, and else is removed.

    Hold ``locked`` around it: what an earlier, killed process left behind is removed first.
    """
    prefix = f"{UNFINISHED}{target.name}-"
    for left_behind in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_behind)
    # mkdtemp would shut out everybody else, such as a server that is to read what becomes of it.
    unfinished = target.parent / f"{prefix}{secrets.token_hex(4)}"
    unfinished.mkdir()
    try:
        yield unfinished
        for path in unfinished.rglob("*"):
            sync(path)
        sync(unfinished)
        unfinished.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_file(path: Path, data: bytes) -> None:
    """Write under a temporary name, fsync, rename."""
    descriptor, name = tempfile.mkstemp(prefix=f"{UNFINISHED}{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(path)
        sync(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


def remove_directory(path: Path) -> None:
    """Take the name away first, so that no reader finds half a directory, then what it held."""
    doomed = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{path.name}-", dir=path.parent))
    path.replace(doomed)
    sync(path.parent)
    shutil.rmtree(doomed)


def unfinished(root: Path) -> list[Path]:
    """What killed writes left below ``root``, and what writes at work have not finished."""
    return sorted(root.rglob(f"{UNFINISHED}*"))


def remove_unfinished(root: Path) -> list[Path]:
    """Remove everything below ``root`` that a killed write left behind; returns what was removed."""
    found = unfinished(root)
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return found


def make_directory(path: Path) -> None:
    """Create a directory and its parents; each new name is synced in the directory that holds it."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock on ``path``; a second process waits. The lock goes with the process that dies."""
    make_directory(path.parent)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def sync(path: Path) -> None:
    """fsync a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
