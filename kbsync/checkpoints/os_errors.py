"""Errors of the operating system as kbsync's own: what was being done, what was kept, and what to do next."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from safetensors import SafetensorError

from kbsync.domain.errors import StoreError

_CHECK = "Check that the disk is sound and has room, then run the command again."


@contextmanager
def explained(doing: str, *, kept: str, if_missing: str = "") -> Iterator[None]:
    """Turn an ``OSError`` inside the block into a ``StoreError`` that says what to do about it.

    Args:
        doing: What the block does, as a participle: "reading FILE".
        kept: What is as it was before, as a sentence.
        if_missing: What to do about a file that should be there and is not.
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
