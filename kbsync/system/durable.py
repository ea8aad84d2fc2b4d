"""Files and directories that are either complete or not there, whenever the process is killed."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from glob import escape
from pathlib import Path

UNFINISHED = ".unfinished-"
"""The names of files and directories that are not complete yet begin so."""


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """Yield a temporary directory beside ``target``, which is renamed to ``target`` if the block raises nothing.

    Every file gets the rights that the umask gives, whoever wrote it: safetensors makes files that only their owner may
    read, and a server that runs as another user has to read them.

    If the block raises, the temporary directory is removed. Hold ``locked`` around it, because what an earlier, killed
    process left is removed first.
    """
    prefix = f"{UNFINISHED}{target.name}-"
    for left_behind in target.parent.glob(f"{escape(prefix)}*"):
        shutil.rmtree(left_behind)
    # mkdtemp would make it readable for this user only, but a server may have to read what it becomes.
    unfinished = target.parent / f"{prefix}{secrets.token_hex(4)}"
    unfinished.mkdir()
    rights = unfinished.stat().st_mode & 0o666
    try:
        yield unfinished
        for path in unfinished.rglob("*"):
            if path.is_file():
                path.chmod(rights)
            sync(path)
        sync(unfinished)
        unfinished.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def write_file(path: Path, data: bytes) -> None:
    """Write a file under a temporary name, fsync it, and rename it to ``path``; its rights are those that the umask
    gives."""
    name = path.parent / f"{UNFINISHED}{path.name}-{secrets.token_hex(8)}"
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        name.rename(path)
        sync(path.parent)
    finally:
        name.unlink(missing_ok=True)


def remove_directory(path: Path) -> None:
    """Remove a directory; it is renamed first, so that no reader finds half of it."""
    doomed = Path(tempfile.mkdtemp(prefix=f"{UNFINISHED}{path.name}-", dir=path.parent))
    path.replace(doomed)
    sync(path.parent)
    shutil.rmtree(doomed)


def unfinished(root: Path) -> list[Path]:
    """What killed writes left below ``root``, and what running writes have not finished."""
    return sorted(root.rglob(f"{UNFINISHED}*"))


def remove_unfinished(root: Path) -> list[Path]:
    """Remove everything below ``root`` that is not complete; returns what was removed."""
    removed = unfinished(root)
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return removed


def make_directory(path: Path) -> None:
    """Create a directory and its parents, and fsync each directory that got a new entry."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock on the file ``path``; another process waits. The system releases it when a process dies."""
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
