"""A model that is converted once: whoever comes first writes the copy, and all others find it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kbsync.domain.errors import ModelError
from kbsync.ports import Work
from kbsync.system.durable import locked, new_directory


def converted(target: Path, write: Callable[[Path], None], work: Work, *, steps: int | None, told: str) -> Path:
    """The directory ``target``, which is made where it is not there yet. Another process that wants it waits.

    Args:
        write: Fills the directory that it gets. If it fails or is killed, ``target`` is not there.
        work: Shows the conversion.
        steps: Number of steps by which ``write`` tells how far it is; None: it does not tell.
        told: What is said of the directory when it is made.

    Raises:
        ModelError: The directory can't be written, and whatever ``write`` raises of it.
    """
    if target.is_dir():
        return target
    try:
        with locked(target.parent / ".lock"):
            if not target.is_dir():
                work.start("convert", steps)
                with new_directory(target) as unfinished:
                    write(unfinished)
                work.finish(f"{target.name}{told}")
    except OSError as error:
        raise ModelError(
            f"The model can't be converted into {target}: {error.strerror or error}.",
            next_step="Check the directory (also for links in it) and the room on its disk.",
        ) from error
    return target
