"""Paths in a store that fsspec reaches: S3, WebDAV, SFTP, memory and whatever else has a driver.

As much of ``pathlib`` as the stores use. Such stores know files and no real directories: a file gets its name at once and
whole, a directory of several files does not, so whoever writes several writes last the one without which the others do
not count.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import fsspec
from fsspec import AbstractFileSystem

from kbsync.domain.errors import ConfigError
from kbsync.system.durable import UNFINISHED

_TURNS = 20


def open_remote(url: str, options: Mapping[str, Any]) -> RemotePath:
    """Where ``url`` leads; ``options`` are for its driver. Raises ``ConfigError`` where no driver takes them."""
    try:
        system, path = fsspec.core.url_to_fs(url, **options)
    except (ValueError, ImportError, TypeError) as error:
        next_step = "Correct store.url and store.options, or install the driver that the message names."
        raise ConfigError([f"store.url: {error}"], next_step=next_step) from error
    return RemotePath(system, str(path).rstrip("/"))


class RemotePath:
    """One path; whatever the driver raises becomes an ``OSError``."""

    def __init__(self, system: AbstractFileSystem, path: str) -> None:
        self._system, self._path = system, path

    def __str__(self) -> str:
        return str(self._system.unstrip_protocol(self._path))

    def __repr__(self) -> str:
        return f"RemotePath({self})"

    def __truediv__(self, name: str) -> RemotePath:
        return RemotePath(self._system, f"{self._path}/{name}")

    def __lt__(self, other: RemotePath) -> bool:
        return self._path < other._path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RemotePath) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    @property
    def name(self) -> str:
        return self._path.rpartition("/")[2]

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0] or self.name

    @property
    def parent(self) -> RemotePath:
        return RemotePath(self._system, self._path.rpartition("/")[0])

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self._path.split("/"))

    def with_name(self, name: str) -> RemotePath:
        return self.parent / name

    def exists(self) -> bool:
        with _told(self):
            return bool(self._fresh().exists(self._path))

    def is_file(self) -> bool:
        with _told(self):
            return bool(self._fresh().isfile(self._path))

    def is_dir(self) -> bool:
        with _told(self):
            return bool(self._fresh().isdir(self._path))

    def size(self) -> int:
        """Bytes of a file."""
        with _told(self):
            return int(self._fresh().size(self._path) or 0)

    def modified(self) -> datetime:
        """When the file, or the newest below the directory, was written; now where the store can't tell, so that nothing
        is taken for old."""
        if self.is_dir():
            below = [RemotePath(self._system, "/".join((self._path, *parts))) for parts in self.files_below()]
            return max((path.modified() for path in below), default=datetime.now(UTC))
        with _told(self):
            try:
                at = self._fresh().modified(self._path)
            except (NotImplementedError, KeyError):
                at = None
        if not isinstance(at, datetime):
            return datetime.now(UTC)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

    def read_bytes(self) -> bytes:
        with _told(self):
            data: bytes = self._system.cat_file(self._path)
            return data

    def write_bytes(self, data: bytes) -> None:
        """Under a temporary name, read back, compared, and renamed."""
        new = self.with_name(f"{UNFINISHED}{self.name}-{secrets.token_hex(4)}")
        with _told(self):
            self._system.makedirs(self.parent._path, exist_ok=True)
            self._system.pipe_file(new._path, data)
            if self._fresh().cat_file(new._path) != data:
                raise OSError(errno.EIO, f"{self} was not stored as it was written")
        new.replace(self)

    def replace(self, target: RemotePath) -> None:
        """Of a file. Some drivers (WebDAV's) rename over nothing: there the old file goes first, and several who do this
        at once may take turns."""
        with _told(self):
            self._system.makedirs(target.parent._path, exist_ok=True)
        for turn in range(_TURNS):
            try:
                with _told(self):
                    self._system.mv(self._path, target._path)
                return
            except OSError:
                if turn == _TURNS - 1 or not self.exists():
                    raise
            with suppress(OSError):
                target.unlink(missing_ok=True)

    def unlink(self, *, missing_ok: bool = False) -> None:
        with _told(self):
            try:
                self._system.rm_file(self._path)
            except FileNotFoundError:
                if not missing_ok:
                    raise

    def iterdir(self) -> Iterator[RemotePath]:
        with _told(self):
            found = self._fresh().ls(self._path, detail=False)
        for path in found:
            yield RemotePath(self._system, str(path).rstrip("/"))

    def glob(self, pattern: str) -> Iterator[RemotePath]:
        """``pattern`` is matched with the names of what stands directly below."""
        if self.is_dir():
            yield from (p for p in self.iterdir() if fnmatchcase(p.name, pattern))

    def rglob(self, pattern: str) -> Iterator[RemotePath]:
        """``pattern`` is matched with the name of every file and directory below."""
        with _told(self):
            found = self._fresh().find(self._path, withdirs=True)
        for path in sorted(map(str, found)):
            one = RemotePath(self._system, path.rstrip("/"))
            if one._path != self._path and fnmatchcase(one.name, pattern):
                yield one

    def files_below(self) -> list[tuple[str, ...]]:
        """The parts of every file's path, counted from here; all in one listing."""
        with _told(self):
            found = self._fresh().find(self._path)
        return [tuple(str(path).removeprefix(f"{self._path}/").split("/")) for path in found]

    def remove_empty(self) -> None:
        """Take the name of an empty directory away; a store without directories has nothing to do."""
        with _told(self):
            if self._fresh().isdir(self._path) and not self._system.ls(self._path):
                self._system.rmdir(self._path)

    def _fresh(self) -> AbstractFileSystem:
        """Other processes write, too: no listing may come from a cache."""
        self._system.invalidate_cache()
        return self._system


@contextmanager
def _told(path: RemotePath) -> Iterator[None]:
    try:
        yield
    except (OSError, NotImplementedError, KeyError):
        raise
    except Exception as error:
        raise OSError(errno.EIO, f"{path}: {type(error).__name__}: {error}") from error
