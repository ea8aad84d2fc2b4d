"""The port for where statements come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId


@dataclass(frozen=True, slots=True)
class ItemEvent:
    """A change that a source reports on its own initiative."""

    item: ItemId
    """The item that changed."""
    at: datetime
    """When it changed, by the source's clock."""
    revision: int = 0
    """The revision that the change led to; 0 where the event names none (deletions, restorations)."""


NAMES = "names"
"""What ``StatementSource.touched`` calls an item's label and aliases."""


class StatementSource(ABC):
    """A place where statements come from.

    Every method raises ``SourceDown`` for what may pass, and ``SourceError`` for what lasts. Q0, Q1 and Q2 are the
    queries of ``kbsync.wikidata.queries``.
    """

    name: str
    """The ledger keeps this source's watermarks under this name."""

    @abstractmethod
    def server_time(self) -> datetime:
        """The time up to which the source knows Wikidata (Q0), never this machine's own."""

    @abstractmethod
    def subjects(self, relation: Relation) -> list[ItemId]:
        """The relation's listed subjects and those that its pattern finds, sorted, each once."""

    @abstractmethod
    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        """One head for each of ``items`` (Q1); one that the source does not know is reported as deleted."""

    @abstractmethod
    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        """Pages of records (Q2) with all statements of ``properties``. A page is yielded complete or not at all."""

    @abstractmethod
    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        """Pages of labels and aliases in the source's language, one entry for each of ``items``."""

    def touched(
        self,
        item: ItemId,  # noqa: ARG002
        after: int,  # noqa: ARG002
        until: int,  # noqa: ARG002
        properties: Sequence[PropertyId],  # noqa: ARG002
    ) -> frozenset[str] | None:
        """What of an item was not the same in all its revisions from ``after`` to ``until``, both included.

        Returns:
            The properties of ``properties`` and ``NAMES``, as far as they differ anywhere. None where the source does
            not know the item's history: then everything may have been different in between.
        """
        return None

    def describe(self) -> str:
        """What the source found out about what it asks, for people; empty: nothing worth telling."""
        return ""

    def events(self, since: datetime) -> Iterator[ItemEvent | None] | None:  # noqa: ARG002
        """Listen to changes as they happen.

        Args:
            since: Changes from this moment on are reported.

        Returns:
            An iterator that yields an ``ItemEvent`` per change, and ``None`` at least once a second, so that the caller
            can do other things. It may report a change twice, and before ``heads`` knows it; it never leaves one out.
            None where the source has no event stream.

        Raises:
            SourceDown: From the iterator, when it can't be sure that it reports every change: the stream has a gap, or
                its connection keeps failing.
        """
        return None
