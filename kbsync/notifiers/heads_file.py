"""A file elsewhere, which gets a signed line with the audit trail's head whenever ``current`` moves.

It belongs where this machine can append and not rewrite. ``kbsync audit verify --against FILE`` compares it.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from kbsync.domain.announcement import Announcement
from kbsync.domain.canonical import canonical_json, plain
from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.body import signature
from kbsync.ports import Notifier


class HeadsFileNotifier(Notifier):
    """Appends one line of JSON for each move: ``delivery``, ``at`` (seconds since 1970), ``version``, ``trail``
    (``seq``, ``hash``, ``rows``) and ``signature``.

    Args:
        secret: Signs the lines, as it signs a webhook.
        seconds: Returns the current time in seconds since 1970.
    """

    name = "heads-file"

    def __init__(self, path: Path, secret: str, seconds: Callable[[], float]) -> None:
        self._path, self._secret, self._seconds = path, secret, seconds

    def deliver(self, announcement: Announcement) -> None:
        """Append and sync the line; one that was appended before a crash comes twice. Raises ``NotifierFailed``."""
        about: dict[str, Any] = {
            "delivery": announcement.delivery,
            "at": int(self._seconds()),
            "version": announcement.version,
            "trail": plain(announcement.trail),
        }
        line = canonical_json(about | {"signature": _signed(about, self._secret)}) + "\n"
        try:
            # Never through a link that somebody else put there.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
            descriptor = os.open(self._path, flags, 0o644)
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                written = file.write(line.encode())
                os.fsync(descriptor)
        except OSError as error:
            raise NotifierFailed(f"A line can't be appended to {self._path}: {error.strerror}.") from error
        if written != len(line.encode()):
            raise NotifierFailed(f"A line can't be appended to {self._path} as a whole: its disk is full.")


def is_signed(line: dict[str, Any], secret: str) -> bool:
    """Whether a line of the file has the signature of this secret; raises ``KeyError`` where it is none."""
    about = {name: value for name, value in line.items() if name != "signature"}
    return hmac.compare_digest(str(line["signature"]), _signed(about, secret))


def _signed(about: dict[str, Any], secret: str) -> str:
    return signature(secret, about["delivery"], about["at"], canonical_json(about).encode())
