"""Digests of large files, computed once."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from kbsync.system.durable import write_file


class Digests:
    """SHA-256 of files, remembered by path, size and modification time (ns).

    A file that is replaced by one of the same size, with the old time set again, is not noticed: whoever can do that
    can also write to the cache. A cache that can't be read counts as empty.
    """

    def __init__(self, cache_file: Path) -> None:
        """``cache_file`` is a JSON file, which need not exist."""
        self._file = cache_file

    def of(self, path: Path) -> str:
        """The digest of a file, 64 hex digits; raises ``OSError`` for one that can't be read."""
        path = path.resolve()
        stat = path.stat()
        known = self._read()
        entry = known.get(str(path))
        if isinstance(entry, list) and entry[:2] == [stat.st_size, stat.st_mtime_ns]:
            return str(entry[2])
        digest = self.fresh(path)
        known[str(path)] = [stat.st_size, stat.st_mtime_ns, digest]
        self._file.parent.mkdir(parents=True, exist_ok=True)
        write_file(self._file, json.dumps(known, indent=1, sort_keys=True).encode())
        return digest

    @staticmethod
    def fresh(path: Path) -> str:
        """The digest of a file as it is now, which is not remembered."""
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def _read(self) -> dict[str, Any]:
        try:
            known = json.loads(self._file.read_bytes())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}


def digests_in(cache_dir: Path) -> Digests:
    """The digests that are remembered in ``cache_dir``, a directory that need not exist."""
    return Digests(cache_dir / "digests.json")
