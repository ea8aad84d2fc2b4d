"""An empty ledger on SQLite, migrated once in each process and copied for each test: a migration takes a tenth of a
second, a copy none."""

from __future__ import annotations

import shutil
import tempfile
from functools import cache
from pathlib import Path

from kbsync.ledger import schema
from kbsync.ledger.engine import sqlite_url


def empty_ledger(path: Path) -> str:
    """Put an empty ledger at ``path``, whose directory is made if it is missing; returns its URL."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(_migrated().name, path)
    return sqlite_url(path)


@cache
def _migrated() -> tempfile._TemporaryFileWrapper[bytes]:
    """The file that is copied; it goes when the process ends."""
    file = tempfile.NamedTemporaryFile(prefix="kbsync-ledger-", suffix=".db")  # noqa: SIM115 (closed at exit)
    schema.upgrade(sqlite_url(Path(file.name)))
    return file
