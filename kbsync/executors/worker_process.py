"""What runs in each worker's process: one ``Worker``, made of a description that is checked first."""

from __future__ import annotations

import importlib
import json
import os
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from kbsync import __version__
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import KbsyncError, WorkersRefused
from kbsync.executors.messages import error_message, result_message, task_hash
from kbsync.ports import Worker

LIBRARIES = ("safetensors", "tokenizers", "torch", "transformers")
"""What computes the results, besides kbsync."""
READY = "ready"
"""Stands for the task's hash in the answer to ``prepare``."""


def versions() -> dict[str, str]:
    """Versions of kbsync and of the libraries that compute results; a library that is missing has none."""
    found = {"kbsync": __version__}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ""
    return found


@dataclass(frozen=True, slots=True)
class Description:
    """What a worker is to be."""

    maker: str
    """``module:function`` of kbsync, which makes the ``Worker`` of ``argument``."""
    argument: str
    """Text that the maker understands."""
    versions: dict[str, str]
    """Of who asks: the worker's must be the same."""
    threads: int
    """Threads in which it computes; their number changes the last bits of a sum."""


def encode(description: Description) -> bytes:
    """As ``WorkerProcess`` takes it."""
    return canonical_json(asdict(description)).encode()


class WorkerProcess:
    """Answers with bytes only, also for errors."""

    def __init__(self, description: bytes) -> None:
        self._description = Description(**json.loads(description))
        self._worker: Worker | None = None

    def prepare(self) -> bytes:
        """Make the worker: an empty result, or the error."""
        try:
            self._require_same_versions()
            module, _, function = self._description.maker.partition(":")
            self._worker = getattr(importlib.import_module(module), function)(self._description.argument)
            _limit_threads(self._description.threads)
        except KbsyncError as error:
            return error_message(error)
        return result_message(READY, [])

    def do(self, kind: str, shared: bytes, task: bytes) -> bytes:
        """The result of one task, or the error."""
        if self._worker is None:
            return error_message(WorkersRefused("A worker was asked before it was made ready."))
        try:
            parts = list(self._worker.do(kind, shared, task, lambda: None))
        except KbsyncError as error:
            return error_message(error)
        return result_message(task_hash(kind, shared, task), parts)

    def process(self) -> int:
        """The number of the worker's process, on its machine."""
        return os.getpid()

    def _require_same_versions(self) -> None:
        here, asked = versions(), self._description.versions
        if others := sorted(name for name in here.keys() | asked.keys() if here.get(name) != asked.get(name)):
            differ = ", ".join(f"{n} {here.get(n) or 'missing'} instead of {asked.get(n) or 'none'}" for n in others)
            raise WorkersRefused(
                f"A worker has other versions: {differ}.",
                next_step='Install the same on all machines, or work here: [executor] kind = "in-process".',
            )


def _limit_threads(count: int) -> None:
    """Where torch was not needed so far, nothing computes in threads."""
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(count)
