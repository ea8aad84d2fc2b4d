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

    If the block raises, the temporary directory is removed. What killed processes left of the same target is removed
    first; the directories of processes at work are theirs (``is_owned``).
    """
    prefix = f"{UNFINISHED}{target.name}-"
    for left_behind in target.parent.glob(f"{escape(prefix)}*"):
        if not is_owned(left_behind):
            shutil.rmtree(left_behind, ignore_errors=True)
    # mkdtemp would make it readable for this user only, but a server may have to read what it becomes.
    unfinished = target.parent / f"{prefix}{secrets.token_hex(16)}"
    unfinished.mkdir()
    rights = unfinished.stat().st_mode & 0o666
    descriptor = os.open(unfinished, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield unfinished
        for path in unfinished.rglob("*"):
            if path.is_file():
                path.chmod(rights)
            sync(path)
        sync(unfinished)
        unfinished.rename(target)
        sync(target.parent)
    finally:
        os.close(descriptor)
        shutil.rmtree(unfinished, ignore_errors=True)


@contextmanager
def private_directory(parent: Path) -> Iterator[Path]:
    """Yield a temporary directory in ``parent`` that nobody else can enter, and remove it in the end.

    What other programs write into it, under whatever name, can't be foreseen or replaced by anybody else.
    """
    path = Path(tempfile.mkdtemp(prefix=UNFINISHED, dir=parent))
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield path
    finally:
        os.close(descriptor)
        shutil.rmtree(path, ignore_errors=True)


def is_owned(path: Path) -> bool:
    """Whether a process is still writing the unfinished file or directory, as its lock tells, which goes when the
    process dies; True where that can't be told."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return False
    except OSError:
        return not path.is_symlink()
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def write_file(path: Path, data: bytes, *, head: bytes = b"") -> None:
    """Write a file (``head``, then ``data``) under a temporary name, fsync it, and rename it to ``path``.

    Its rights are those that the umask gives.
    """
    name = path.parent / f"{UNFINISHED}{path.name[:100]}-{secrets.token_hex(16)}"
    descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        with os.fdopen(descriptor, "wb") as file:
            if head:
                file.write(head)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            name.rename(path)
        sync(path.parent)
    finally:
        name.unlink(missing_ok=True)


def write_for_people(path: Path, data: bytes) -> None:
    """Write a file that people asked for, whole or not at all. What is no file, such as a pipe, is written as it is; a
    link leads to where the file goes."""
    target = path.resolve() if path.is_symlink() else path
    if target.exists() and not target.is_file():
        target.write_bytes(data)
    else:
        write_file(target, data)


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
    """Remove what killed writes left below ``root``; returns what was removed."""
    removed = [path for path in unfinished(root) if not is_owned(path)]
    for path in removed:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
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
def locked_directory(path: Path) -> Iterator[None]:
    """Hold an advisory lock on the directory ``path`` itself; another process waits."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an advisory lock on the file ``path``; another process waits. The system releases it when a process dies.

    Raises:
        OSError: It can't be opened, or is a link, which somebody else may have put there.
    """
    make_directory(path.parent)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sync(path: Path) -> None:
    """fsync a file or a directory."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
