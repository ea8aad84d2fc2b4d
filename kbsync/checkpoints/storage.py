"""Where the stores keep their files, on a disk or at a URL: each file and each directory is there whole or not at all.

universal_pathlib would give both one path class, but not what makes these writes safe (temporary name, sync or read
back, rename), the errors or the fresh listings: around it nearly all of this code would remain.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime


class Storage(ABC):
    """Files under names relative to a root, with ``/`` between their parts: ``versions/<hash>/manifest.json``.

    Whatever the operating system or a driver refuses is an ``OSError``.
    """

    @abstractmethod
    def below(self, name: str) -> Storage:
        """The same storage with the directory ``name`` as its root; nothing is created."""

    @abstractmethod
    def where(self, name: str = "") -> str:
        """The path or URL of a file or directory (of the root), as people write it."""

    @abstractmethod
    def exists(self, name: str) -> bool:
        """Whether there is a file or directory of this name."""

    @abstractmethod
    def is_directory(self, name: str) -> bool:
        """Whether there is a directory of this name."""

    @abstractmethod
    def names(self, directory: str = "") -> list[str]:
        """Last parts of the names directly below a directory; none where it does not exist."""

    @abstractmethod
    def files(self, directory: str = "") -> list[str]:
        """Names, relative to the root, of all files below a directory; none where it does not exist."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """A file's content; raises ``FileNotFoundError`` where there is none."""

    @abstractmethod
    def write(self, name: str, data: bytes, *, head: bytes = b"") -> None:
        """Write a file under a temporary name, sync it (at a URL: read it back), and rename it.

        Args:
            head: What the file begins with, before ``data``, which may be too large to be copied behind it.
        """

    @abstractmethod
    def rename(self, name: str, target: str) -> None:
        """Rename a file, over another one if need be."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file; nothing happens where there is none."""

    @abstractmethod
    def size(self, name: str) -> int:
        """Bytes of a file, or of all files below a directory."""

    @abstractmethod
    def modified(self, name: str) -> datetime:
        """When a file or directory was changed last."""

    @abstractmethod
    def write_directory(
        self, name: str, files: Mapping[str, bytes], *, mark: str, check: Callable[[str], None], aside: str
    ) -> None:
        """Write a directory of several files; its content never changes from then on.

        On a disk it gets its name when all files are synced. At a URL, where only files can be renamed, the file
        ``mark`` is written last, and a directory without it does not count.

        Args:
            name: The directory.
            files: Its files by their names in it.
            mark: The one of them without which the others do not count.
            check: Reads the directory, under the name that it is given, and raises what is wrong with it.
            aside: The name that an older directory called ``name`` gets.
        """

    @abstractmethod
    def is_whole(self, name: str, mark: str) -> bool:
        """Whether ``write_directory`` has written the directory to its end."""

    @abstractmethod
    def is_half(self, name: str, mark: str) -> bool:
        """Whether a directory has its name already, and not yet (or no longer) all of its files."""

    @abstractmethod
    def remove_directory(self, name: str, mark: str = "") -> None:
        """Remove a directory so that no reader takes what is left of it for the whole."""

    @abstractmethod
    def unfinished(self) -> list[str]:
        """Names of what killed writes left, and of what writes at work have not finished."""

    @abstractmethod
    def remove_unfinished(self) -> list[str]:
        """Remove what killed writes left, and return its names; for a process that knows itself to be the only
        writer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or directory of a storage; its text is the path or URL."""

    storage: Storage
    name: str

    def __str__(self) -> str:
        return self.storage.where(self.name)

    @property
    def last(self) -> str:
        """The last part of the name."""
        return self.name.rpartition("/")[2]

    def read(self) -> bytes:
        """A file's content."""
        return self.storage.read(self.name)

    def size(self) -> int:
        """Bytes of the file, or of all files below the directory."""
        return self.storage.size(self.name)

    def modified(self) -> datetime:
        """When it was changed last."""
        return self.storage.modified(self.name)

    def remove(self) -> None:
        """Remove the file or directory; nothing happens where there is none."""
        if self.storage.is_directory(self.name):
            self.storage.remove_directory(self.name)
        else:
            self.storage.remove(self.name)
