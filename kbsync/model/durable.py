"""Files and directories that are complete or not there at all, whenever the process is killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_directory(target: Path) -> Iterator[Path]:
    """A temporary directory beside ``target`` that becomes ``target`` when the block ends well, and else is removed.

    Hold ``locked`` around it: what an earlier, killed process left behind is removed first.
    """
    prefix = f".unfinished-{target.name}-"
    for left_behind in target.parent.glob(f"{prefix}*"):
        shutil.rmtree(left_behind)
    unfinished = Path(tempfile.mkdtemp(prefix=prefix, dir=target.parent))
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
    descriptor, name = tempfile.mkstemp(prefix=f".unfinished-{path.name}-", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(name).rename(path)
        sync(path.parent)
    finally:
        Path(name).unlink(missing_ok=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock on ``path``; a second process waits. The lock goes with the process that dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
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
