"""Makes disks fail, and processes die, at a chosen system call."""

from __future__ import annotations

import io
import os
import pathlib
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

_KILLED = 77


@contextmanager
def failing(monkeypatch: pytest.MonkeyPatch, step: str, number: int) -> Iterator[None]:
    """Inside the block, the calls of ``step`` raise ``OSError`` with this errno."""

    def fail(*args: object, **kwargs: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        _install(patch.setattr, step, fail)
        yield


def killed(step: str, action: Callable[[], object]) -> bool:
    """Run ``action`` in a forked process that dies, without any cleaning up, when it comes to ``step``.

    True when it died there; false when it came to its end.
    """

    def die(*args: object, **kwargs: object) -> None:
        os._exit(_KILLED)

    child = os.fork()
    if not child:
        try:
            _install(setattr, step, die)
            action()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == _KILLED


@contextmanager
def limited_file_size(size: int) -> Iterator[None]:
    """Inside the block the kernel itself refuses to let a file grow beyond ``size`` bytes (EFBIG)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def _install(set_attribute: Callable[[object, str, object], None], step: str, replacement: object) -> None:
    match step:
        case "open":
            set_attribute(os, "open", replacement)
        case "write":
            # the files' own write method can't be replaced; what opens them for writing can
            set_attribute(os, "fdopen", lambda *args, **kwargs: _Broken(replacement))
            set_attribute(pathlib.Path, "write_bytes", replacement)
        case "fsync":
            set_attribute(os, "fsync", replacement)
        case "rename":
            set_attribute(pathlib.Path, "rename", replacement)
        case "replace":
            set_attribute(pathlib.Path, "replace", replacement)
        case "mkdir":
            set_attribute(pathlib.Path, "mkdir", replacement)
        case _:
            raise ValueError(step)


class _Broken(io.BytesIO):
    def __init__(self, replacement: object) -> None:
        super().__init__()
        self.write = replacement  # type: ignore[method-assign, assignment]
