"""Storage on this machine's disk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from kbsync.checkpoints.storage import Storage
from kbsync.system import durable


class DiskStorage(Storage):
    """Files below the directory ``root``, which is created by the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def below(self, name: str) -> DiskStorage:
        return DiskStorage(self.root / name)

    def where(self, name: str = "") -> str:
        return str(self.root / name)

    def exists(self, name: str) -> bool:
        return (self.root / name).exists()

    def is_directory(self, name: str) -> bool:
        return (self.root / name).is_dir()

    def names(self, directory: str = "") -> list[str]:
        path = self.root / directory
        return [child.name for child in path.iterdir()] if path.is_dir() else []

    def files(self, directory: str = "") -> list[str]:
        below = (self.root / directory).rglob("*")
        return [path.relative_to(self.root).as_posix() for path in below if path.is_file()]

    def read(self, name: str) -> bytes:
        return (self.root / name).read_bytes()

    def write(self, name: str, data: bytes, *, head: bytes = b"") -> None:
        path = self.root / name
        durable.make_directory(path.parent)
        durable.write_file(path, data, head=head)

    def rename(self, name: str, target: str) -> None:
        (self.root / name).replace(self.root / target)

    def remove(self, name: str) -> None:
        (self.root / name).unlink(missing_ok=True)

    def size(self, name: str) -> int:
        path = self.root / name
        files = [path] if path.is_file() else [below for below in path.rglob("*") if below.is_file()]
        return sum(file.stat().st_size for file in files)

    def modified(self, name: str) -> datetime:
        return datetime.fromtimestamp((self.root / name).stat().st_mtime, UTC)

    def write_directory(
        self,
        name: str,
        files: Mapping[str, bytes],
        *,
        mark: str,  # noqa: ARG002 (the directory itself is renamed)
        check: Callable[[str], None],
        aside: str,
    ) -> None:
        target = self.root / name
        durable.make_directory(target.parent)
        with durable.new_directory(target) as unfinished:
            for file, data in files.items():
                (unfinished / file).write_bytes(data)
            check(unfinished.relative_to(self.root).as_posix())
            if target.exists():
                target.rename(self.root / aside)

    def is_whole(self, name: str, mark: str) -> bool:  # noqa: ARG002 (it has its name only when it is whole)
        return self.is_directory(name)

    def is_half(self, name: str, mark: str) -> bool:  # noqa: ARG002 (it has its name only when it is whole)
        return False

    def remove_directory(self, name: str, mark: str = "") -> None:  # noqa: ARG002 (the directory's name goes first)
        durable.remove_directory(self.root / name)

    def unfinished(self) -> list[str]:
        return [path.relative_to(self.root).as_posix() for path in durable.unfinished(self.root)]

    def remove_unfinished(self) -> list[str]:
        return [path.relative_to(self.root).as_posix() for path in durable.remove_unfinished(self.root)]
