"""A ``Notifier`` that keeps what it is given, and fails on demand."""

from __future__ import annotations

from kbsync.domain.announcement import Announcement
from kbsync.domain.errors import NotifierFailed
from kbsync.ports import Notifier


class FakeNotifier(Notifier):
    """Keeps every announcement in ``heard``."""

    def __init__(self, name: str = "webhook") -> None:
        self.name = name
        self.heard: list[Announcement] = []
        self.deaf = False
        """Whether it refuses what it is given."""
        self.dies = False
        """Whether the process is interrupted right after an announcement was taken."""

    def deliver(self, announcement: Announcement) -> None:
        if self.deaf:
            raise NotifierFailed("Nobody is there.")
        self.heard.append(announcement)
        if self.dies:
            raise KeyboardInterrupt
