"""The names of items: those that are believed, and those that wait."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from kbsync.domain.name_trust import PendingNames
from kbsync.domain.statement import ItemId, Labels


class NameReader(ABC):
    """Reads what items are called."""

    @abstractmethod
    def labels(self, items: Sequence[ItemId]) -> dict[ItemId, Labels]:
        """The names that are believed, of those items that have some."""

    @abstractmethod
    def pending_names(self, items: Sequence[ItemId]) -> dict[ItemId, PendingNames]:
        """The names that are not believed yet, of those items that have some."""


class NameWriter(NameReader):
    """Writes what items are called."""

    @abstractmethod
    def record_labels(self, labels: Sequence[Labels]) -> None:
        """Replace the names that are believed of these items."""

    @abstractmethod
    def set_pending_names(self, names: Sequence[PendingNames]) -> None:
        """Replace the names of these items that are not believed yet."""

    @abstractmethod
    def clear_pending_names(self, items: Sequence[ItemId]) -> None:
        """Forget the names of these items that are not believed yet."""
