"""Who is told when a version goes live."""

from __future__ import annotations

from abc import ABC, abstractmethod

from kbsync.domain.announcement import Announcement


class Notifier(ABC):
    """Somebody outside who is told when ``current`` moves; ``name`` is stable, the ledger knows it by that."""

    name: str

    @abstractmethod
    def deliver(self, announcement: Announcement) -> None:
        """May be called again with the same announcement, after a failure or a crash. Raises ``NotifierFailed``."""
