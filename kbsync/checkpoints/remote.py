"""Storage that fsspec reaches: S3, WebDAV, SFTP, memory and whatever else has a driver.

Such storage knows files and no real directories: a file gets its name at once and whole, a directory of several files
does not, so the file without which the others do not count is written last and removed first.
"""

from __future__ import annotations

import errno
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import fsspec
from fsspec import AbstractFileSystem

from kbsync.checkpoints.storage import Storage
from kbsync.domain.errors import ConfigError
from kbsync.system.durable import UNFINISHED
from kbsync.system.hidden import hidden, shown_url

_RENAMES = 20
"""How often a rename is tried while others do the same."""


def open_remote(url: str, options: Mapping[str, Any]) -> RemoteStorage:
    """Open the storage at ``url``; ``options`` are its driver's.

    Raises:
        ConfigError: There is no driver for the URL, or it does not take the options.
    """
    try:
        system, path = fsspec.core.url_to_fs(url, **options)
    except (ValueError, ImportError, TypeError) as error:
        next_step = "Correct store.url and store.options, or install the driver that the message names."
        raise ConfigError([f"store.url: {hidden(str(error))}"], next_step=next_step) from error
    return RemoteStorage(system, str(path).rstrip("/"))


class RemoteStorage(Storage):
    """Files below ``root`` in an fsspec file system; whatever its driver raises becomes an ``OSError``."""

    def __init__(self, system: AbstractFileSystem, root: str) -> None:
        self._system, self._root = system, root

    def below(self, name: str) -> RemoteStorage:
        return RemoteStorage(self._system, self._path(name))

    def where(self, name: str = "") -> str:
        return shown_url(str(self._system.unstrip_protocol(self._path(name))))

    def exists(self, name: str) -> bool:
        with self._translated(name):
            return bool(self._fresh().exists(self._path(name)))

    def is_directory(self, name: str) -> bool:
        with self._translated(name):
            return bool(self._fresh().isdir(self._path(name)))

    def names(self, directory: str = "") -> list[str]:
        if not self.is_directory(directory):
            return []
        with self._translated(directory):
            children = self._fresh().ls(self._path(directory), detail=False)
        return [str(child).rstrip("/").rpartition("/")[2] for child in children]

    def files(self, directory: str = "") -> list[str]:
        """All in one listing."""
        with self._translated(directory):
            paths = self._fresh().find(self._path(directory))
        return [str(path).removeprefix(f"{self._root}/") for path in paths]

    def read(self, name: str) -> bytes:
        with self._translated(name):
            data: bytes = self._system.cat_file(self._path(name))
            return data

    def write(self, name: str, data: bytes, *, head: bytes = b"") -> None:
        data = head + data if head else data  # a driver takes a file as one piece
        directory, _, last = name.rpartition("/")
        temporary = self._joined(directory, f"{UNFINISHED}{last}-{secrets.token_hex(4)}")
        with self._translated(name):
            self._system.makedirs(self._path(directory), exist_ok=True)
            self._system.pipe_file(self._path(temporary), data)
            if self._fresh().cat_file(self._path(temporary)) != data:
                raise OSError(errno.EIO, f"{self.where(name)} was not stored as it was written")
        self.rename(temporary, name)

    def rename(self, name: str, target: str) -> None:
        """Some drivers (WebDAV's) do not rename over a file: there the old file is removed first, and several processes
        that do this at once may have to try again."""
        with self._translated(target):
            self._system.makedirs(self._path(target.rpartition("/")[0]), exist_ok=True)
        for attempt in range(_RENAMES):
            try:
                with self._translated(name):
                    self._move(self._path(name), self._path(target))
                return
            except OSError:
                if attempt == _RENAMES - 1 or not self.exists(name):
                    raise
            with suppress(OSError):
                self.remove(target)

    def _move(self, path: str, target: str) -> None:
        """fsspec's own ``mv``, which drivers without a better one have, takes ``*``, ``?`` and ``[`` in a name for a
        pattern."""
        if type(self._system).mv is AbstractFileSystem.mv:
            self._system.cp_file(path, target)
            self._system.rm_file(path)
        else:
            self._system.mv(path, target)

    def remove(self, name: str) -> None:
        with self._translated(name), suppress(FileNotFoundError):
            self._system.rm_file(self._path(name))

    def size(self, name: str) -> int:
        with self._translated(name):
            files = (
                [self._path(name)] if self._fresh().isfile(self._path(name)) else self._system.find(self._path(name))
            )
            return sum(int(self._system.size(path) or 0) for path in files)

    def modified(self, name: str) -> datetime:
        """Of a directory, the time of its newest file; now where the storage can't tell, so that nothing is taken for
        old."""
        if self.is_directory(name):
            return max((self.modified(file) for file in self.files(name)), default=datetime.now(UTC))
        with self._translated(name):
            try:
                at = self._fresh().modified(self._path(name))
            except (NotImplementedError, KeyError):
                at = None
        if not isinstance(at, datetime):
            return datetime.now(UTC)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)

    def write_directory(
        self, name: str, files: Mapping[str, bytes], *, mark: str, check: Callable[[str], None], aside: str
    ) -> None:
        if self.exists(name):
            for file in self._mark_first(name, mark):
                self.rename(file, file.replace(name, aside, 1))
            self._remove_empty(name)
        for file in sorted(files, key=lambda file: file == mark):
            self.write(self._joined(name, file), files[file])
        check(name)

    def is_whole(self, name: str, mark: str) -> bool:
        return self.exists(self._joined(name, mark))

    def is_half(self, name: str, mark: str) -> bool:
        return not self.is_whole(name, mark)

    def remove_directory(self, name: str, mark: str = "") -> None:
        for file in self._mark_first(name, mark):
            self.remove(file)
        with self._translated(name):
            paths = self._fresh().find(self._path(name), withdirs=True)
        for path in sorted((str(path).rstrip("/") for path in paths), key=lambda path: -path.count("/")):
            if path != self._path(name):
                self._remove_empty(path.removeprefix(f"{self._root}/"))
        self._remove_empty(name)

    def unfinished(self) -> list[str]:
        return sorted(file for file in self.files() if file.rpartition("/")[2].startswith(UNFINISHED))

    def remove_unfinished(self) -> list[str]:
        left = self.unfinished()
        for file in left:
            self.remove(file)
        return left

    def _mark_first(self, name: str, mark: str) -> list[str]:
        """The files of a directory, beginning with the one without which the others do not count."""
        return sorted(self.files(name), key=lambda file: file != self._joined(name, mark))

    def _remove_empty(self, name: str) -> None:
        """Remove an empty directory; nothing happens where the storage knows no directories."""
        with self._translated(name):
            if self._fresh().isdir(self._path(name)) and not self._system.ls(self._path(name)):
                self._system.rmdir(self._path(name))

    def _fresh(self) -> AbstractFileSystem:
        """The file system without cached listings, since other processes write too."""
        self._system.invalidate_cache()
        return self._system

    def _path(self, name: str) -> str:
        return self._joined(self._root, name)

    @staticmethod
    def _joined(directory: str, name: str) -> str:
        return f"{directory}/{name}" if directory and name else directory or name

    @contextmanager
    def _translated(self, name: str) -> Iterator[None]:
        try:
            yield
        except (OSError, NotImplementedError, KeyError):
            raise
        except Exception as error:
            raise OSError(errno.EIO, f"{self.where(name)}: {type(error).__name__}: {hidden(str(error))}") from error
