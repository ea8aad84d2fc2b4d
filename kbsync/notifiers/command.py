"""A program that is run when ``current`` moves."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed
from kbsync.notifiers.body import body
from kbsync.ports import Notifier

_SAID = 300


class CommandNotifier(Notifier):
    """``command`` is run without a shell in ``directory``, with the announcement as JSON on standard input and its parts
    as ``KBSYNC_DELIVERY``, ``KBSYNC_VERSION``, ``KBSYNC_HASH`` and ``KBSYNC_PATH``. Exit code 0: it has taken it. One
    that runs longer than ``timeout`` is killed, with what it started."""

    name = "command"

    def __init__(self, command: Sequence[str], directory: Path, timeout: timedelta) -> None:
        self._command, self._directory, self._timeout = list(command), directory, timeout

    def deliver(self, announcement: Announcement) -> None:
        about = {
            "KBSYNC_DELIVERY": announcement.delivery,
            "KBSYNC_VERSION": str(announcement.version),
            "KBSYNC_HASH": announcement.hash or "",
            "KBSYNC_PATH": announcement.path,
        }
        try:
            process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=os.environ | about,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise NotifierFailed(f"The command {self._command[0]} can't be run: {error.strerror}.") from error
        with process:
            try:
                _, said = process.communicate(body(announcement), timeout=self._timeout.total_seconds())
            except subprocess.TimeoutExpired:
                raise NotifierFailed(f"The command {self._command[0]} did not end within {self._timeout}.") from None
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            words = " ".join(said.decode(errors="replace").split())[-_SAID:]
            raise NotifierFailed(f"The command {self._command[0]} ended with code {process.returncode}: {words}")
