"""What a store does to its place, on this machine's disk or at a URL: each thing whole or not at all."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from kbsync.checkpoints.remote import RemotePath
from kbsync.system import durable
from kbsync.system.durable import UNFINISHED

Place = Path | RemotePath


def write_file(path: Place, data: bytes) -> None:
    """Under a temporary name, synced (or read back), renamed."""
    if isinstance(path, RemotePath):
        return path.write_bytes(data)
    durable.make_directory(path.parent)
    return durable.write_file(path, data)


def write_directory(target: Place, files: Mapping[str, bytes], mark: str, check: Callable[[Place], None]) -> None:
    """A directory of ``files``. On a disk it gets its name after ``check`` has read it back; at a URL, where only files
    have names, ``mark`` is written last, and a directory without it does not count."""
    if isinstance(target, RemotePath):
        for name in sorted(files, key=lambda n: n == mark):
            (target / name).write_bytes(files[name])
        return check(target)
    durable.make_directory(target.parent)
    with durable.new_directory(target) as unfinished:
        for name, data in files.items():
            (unfinished / name).write_bytes(data)
        check(unfinished)
    return None


def set_aside(directory: Place, target: Place, mark: str) -> None:
    """Give a directory another name."""
    if isinstance(directory, RemotePath):
        assert isinstance(target, RemotePath)
        for path in sorted(directory.iterdir(), key=lambda p: p.name != mark):
            path.replace(target / path.name)
        return directory.remove_empty()
    assert isinstance(target, Path)
    directory.rename(target)
    return None


def remove_directory(directory: Place, mark: str = "") -> None:
    """So that no reader takes what is left of it for the whole."""
    if isinstance(directory, RemotePath):
        for path in sorted(directory.rglob("*"), key=lambda p: (p.name != mark, -len(p.parts))):
            if path.is_dir():
                path.remove_empty()
            else:
                path.unlink(missing_ok=True)
        return directory.remove_empty()
    return durable.remove_directory(directory)


def unfinished(root: Place) -> list[Place]:
    """What killed writes left below ``root``, and what writes at work have not finished."""
    return sorted(root.rglob(f"{UNFINISHED}*")) if isinstance(root, RemotePath) else list(durable.unfinished(root))


def remove_unfinished(root: Place) -> list[Place]:
    """Remove what a killed write left; for a process that knows itself to be the only writer."""
    if isinstance(root, RemotePath):
        found = unfinished(root)
        for path in found:
            path.unlink(missing_ok=True)
        return found
    return list(durable.remove_unfinished(root))


def rename(path: Place, target: Place) -> None:
    """Of a file."""
    if isinstance(path, RemotePath) and isinstance(target, RemotePath):
        return path.replace(target)
    assert isinstance(path, Path) and isinstance(target, Path)
    path.replace(target)
    return None


def files_below(root: Place) -> list[tuple[str, ...]]:
    """The parts of every file's path, counted from ``root``."""
    if isinstance(root, RemotePath):
        return root.files_below()
    return [p.relative_to(root).parts for p in root.rglob("*") if p.is_file()]


def modified(path: Place) -> datetime:
    if isinstance(path, RemotePath):
        return path.modified()
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)


def size(path: Place) -> int:
    """Bytes of a file."""
    return path.size() if isinstance(path, RemotePath) else path.stat().st_size
