"""What the source said: items, their statements, the history of every change, and the watermark."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from datetime import datetime

from kbsync.domain.history import HistoryLink
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, PropertyId, Statement
from kbsync.ports.ledger.records import PullCounts, StatementChange


class StatementReader(ABC):
    """Reads what the source said."""

    @abstractmethod
    def watermark(self, source: str) -> datetime | None:
        """The source's server time at the last complete pull."""

    @abstractmethod
    def heads(self, items: Sequence[ItemId]) -> dict[ItemId, ItemHead]:
        """Stored heads of those items that are known."""

    @abstractmethod
    def redirects(self) -> dict[ItemId, ItemId]:
        """Every known item that is a redirect, and where it leads."""

    @abstractmethod
    def members(self, property: PropertyId) -> list[ItemId]:
        """The items that the relation's subject pattern found when it was last asked, sorted."""

    @abstractmethod
    def statements(self, subject: ItemId, property: PropertyId) -> list[Statement]:
        """Live statements, by id."""

    @abstractmethod
    def statements_of(self, property: PropertyId, subjects: Sequence[ItemId]) -> dict[ItemId, list[Statement]]:
        """Live statements of one property for many subjects, each list by id; subjects without any are left out."""

    @abstractmethod
    def statement_history(self, subject: ItemId, property: PropertyId) -> list[StatementChange]:
        """All changes ever seen, oldest first."""

    @abstractmethod
    def history_links(self) -> Iterator[HistoryLink]:
        """The whole statement history as a hash chain, in order; rows are read as the iterator is consumed."""

    @abstractmethod
    def history_head(self) -> str:
        """Hash of the newest row of the statement history (``GENESIS`` when there is none)."""


class StatementWriter(StatementReader):
    """Writes what the source said."""

    @abstractmethod
    def set_watermark(self, source: str, at: datetime) -> None:
        """Record that everything up to ``at``, in the source's own time, was pulled."""

    @abstractmethod
    def record_items(self, records: Sequence[ItemRecord], properties: Sequence[PropertyId], at: datetime) -> PullCounts:
        """Store heads and statements, and write the history of what differs from the stored ones.

        A record with a revision below the stored one is ignored: the source answered from a stale cache. Deleted
        items and redirects lose their live statements; their history stays. Labels are not stored: they wait until they
        are believed.

        Args:
            records: What the source says now of each item.
            properties: Those that were asked for; a live statement of one of them that a record lacks has disappeared.
            at: When the records were seen.

        Raises:
            DataError: A statement is of another item than its record, or of a property outside ``properties``.
        """

    @abstractmethod
    def set_members(self, property: PropertyId, items: Sequence[ItemId], at: datetime) -> None:
        """Make these the members and no others; those that were members before keep the time of their finding."""
