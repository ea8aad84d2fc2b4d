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
from kbsync.system.children import environment
from kbsync.system.hidden import hidden

_SHOWN = 300
"""Characters of the program's standard error, from its end, that go into a message."""


class CommandNotifier(Notifier):
    """Runs a program without a shell. Exit code 0 means that it accepted the announcement.

    It gets the announcement as JSON on standard input, and its parts in the environment as ``KBSYNC_DELIVERY``,
    ``KBSYNC_VERSION``, ``KBSYNC_HASH``, ``KBSYNC_PATH`` and ``KBSYNC_DIRECTORY``. Of kbsync's own
    environment it gets only what a program needs to run (``system.children``): passwords and tokens are not for it.

    Args:
        directory: The program's working directory.
        timeout: After this time it is killed, together with the processes that it started.
    """

    name = "command"

    def __init__(self, command: Sequence[str], directory: Path, timeout: timedelta) -> None:
        self._command, self._directory, self._timeout = list(command), directory, timeout

    def deliver(self, announcement: Announcement) -> None:
        """Run the program once. Raises ``NotifierFailed``, with the end of what it wrote to standard error."""
        variables = {
            "KBSYNC_DELIVERY": announcement.delivery,
            "KBSYNC_VERSION": str(announcement.version),
            "KBSYNC_HASH": announcement.hash or "",
            "KBSYNC_PATH": announcement.path,
            "KBSYNC_DIRECTORY": announcement.directory,
        }
        program = self._command[0]
        try:
            process = subprocess.Popen(
                self._command,
                cwd=self._directory,
                env=environment(variables),
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise NotifierFailed(f"The command {program} can't be run: {error.strerror}.") from error
        with process:
            try:
                _, stderr = process.communicate(body(announcement), timeout=self._timeout.total_seconds())
            except subprocess.TimeoutExpired:
                raise NotifierFailed(f"The command {program} did not end within {self._timeout}.") from None
            finally:
                if process.returncode is None:
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode:
            words = hidden(" ".join(stderr.decode(errors="replace").split()))[-_SHOWN:]
            raise NotifierFailed(f"The command {program} ended with code {process.returncode}: {words}")
