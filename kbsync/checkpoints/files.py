"""What both stores do with files: explain what went wrong, name directories durably, clear up after a kill."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError

from kbsync.domain.errors import StoreError
from kbsync.model.durable import sync

UNFINISHED = ".unfinished-"
"""How ``kbsync.model.durable`` begins the names of what is not complete yet."""

_CHECK = "Check that the disk is sound and has room, then run the command again."


def make_directory(path: Path) -> None:
    """Create a directory and its parents; each new name is synced in the directory that holds it."""
    if path.is_dir():
        return
    make_directory(path.parent)
    path.mkdir(exist_ok=True)
    sync(path.parent)


def remove_unfinished(root: Path) -> list[Path]:
    """Remove everything below ``root`` that a killed write left behind; returns what was removed."""
    found = sorted(root.rglob(f"{UNFINISHED}*"))
    for path in found:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return found


@contextmanager
def explained(doing: str, *, kept: str, if_missing: str = "") -> Iterator[None]:
    """Turn a refusal of the operating system inside the block into a ``StoreError`` that says what to do about it.

    ``if_missing``: what to do about a file that should be there and is not.
    """
    try:
        yield
    except SafetensorError as error:  # how safetensors reports that the system refused to write
        raise StoreError(f"{_sentence(doing)} failed: {error}.", kept=kept, next_step=_CHECK) from error
    except OSError as error:
        next_step = _CHECK
        match error.errno:
            case errno.ENOENT if if_missing:
                next_step = if_missing
            case errno.ENOSPC | errno.EDQUOT:
                next_step = "Make room on the disk (or raise the quota), then run the command again."
            case errno.EACCES | errno.EPERM | errno.EROFS:
                next_step = "Give the user that runs kbsync the right to read and write it, then run again."
            case errno.ENOTDIR | errno.EEXIST | errno.ENOTEMPTY | errno.EISDIR:
                next_step = "Something else stands where kbsync keeps its files; move it away, then run again."
        what = f"{_sentence(doing)} failed: {error.strerror or error}."
        raise StoreError(what, kept=kept, next_step=next_step) from error


def _sentence(doing: str) -> str:
    return doing[:1].upper() + doing[1:]
