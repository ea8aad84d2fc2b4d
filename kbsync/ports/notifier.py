"""The port for whoever is told when a version goes live."""

from __future__ import annotations

from abc import ABC, abstractmethod

from kbsync.domain.announcement import Announcement


class Notifier(ABC):
    """A receiver outside kbsync that is told when ``current`` moves."""

    name: str
    """The ledger keeps what a notifier was told under this name, so it must never change."""

    @abstractmethod
    def deliver(self, announcement: Announcement) -> None:
        """Tell the receiver of one move. After a failure or a crash the same announcement is delivered again.

        Raises:
            NotifierFailed: It did not accept the announcement.
        """
