"""What travels between kbsync and its workers: bytes with a SHA-256, and errors as JSON.

Ray pickles what it sends; these bytes need none of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

from kbsync.domain import errors
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import KbsyncError, WorkersRefused


def task_hash(kind: str, shared: bytes, task: bytes) -> str:
    """SHA-256 of everything that a task's result depends on, besides the workers' base."""
    parts = (kind.encode(), shared, task)
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()


def result_message(key: str, parts: Sequence[bytes]) -> bytes:
    """The result of the task with the hash ``key``."""
    body = b"".join(parts)
    head = {"task": key, "sizes": [len(part) for part in parts], "sha256": hashlib.sha256(body).hexdigest()}
    return canonical_json(head).encode() + b"\n" + body


def error_message(error: KbsyncError) -> bytes:
    """An error that a person may read, by the name of its class."""
    texts = {"what": error.what, "kept": error.kept, "next_step": error.next_step}
    return canonical_json({"error": type(error).__name__, **texts}).encode() + b"\n"


def parts_of(message: bytes, key: str) -> list[bytes]:
    """The parts of a result.

    Raises:
        KbsyncError: What the worker raised.
        WorkersRefused: The bytes are not the result of the task with the hash ``key``.
    """
    line, _, body = message.partition(b"\n")
    try:
        head: dict[str, Any] = json.loads(line)
        if "error" in head:
            raise _error(head)
        sound = (head["task"], head["sha256"]) == (key, hashlib.sha256(body).hexdigest())
        sizes = [int(size) for size in head["sizes"]]
    except (ValueError, KeyError, TypeError) as reason:
        raise WorkersRefused(f"A worker answered with something else than a result: {reason}.") from None
    if not sound or sum(sizes) != len(body):
        raise WorkersRefused(
            "A worker's result is damaged, or another task's.", next_step="Run it again; look after the network."
        )
    ends = [sum(sizes[: n + 1]) for n in range(len(sizes))]
    return [body[end - size : end] for end, size in zip(ends, sizes, strict=True)]


def _error(head: dict[str, Any]) -> KbsyncError:
    """The error that ``error_message`` wrote; one of a class that is not known here is told by its words."""
    kind = getattr(errors, str(head["error"]), None)
    made = kind if isinstance(kind, type) and issubclass(kind, KbsyncError) else WorkersRefused
    texts = {name: str(head[name]) for name in ("kept", "next_step")}
    try:
        return made(str(head["what"]), **texts)
    except TypeError:  # an error with arguments of its own
        return WorkersRefused(str(head["what"]), **texts)
