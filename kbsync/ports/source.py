"""Where statements come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId


@dataclass(frozen=True, slots=True)
class ItemEvent:
    """A change of which a source told by itself. ``revision``: the one that it led to; 0 where the event names none
    (deletions, restorations)."""

    item: ItemId
    at: datetime
    revision: int = 0


class StatementSource(ABC):
    """Where statements come from. Every method raises ``SourceDown`` (transient) or ``SourceError`` (terminal)."""

    name: str

    @abstractmethod
    def server_time(self) -> datetime:
        """The time up to which the source knows Wikidata (Q0): never the clock on the wall."""

    @abstractmethod
    def subjects(self, relation: Relation) -> list[ItemId]:
        """The relation's listed subjects and those its pattern finds, sorted, without doubles."""

    @abstractmethod
    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        """One head per asked item (Q1); an item that the source does not know comes back as deleted."""

    @abstractmethod
    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        """Pages of records (Q2) with all statements of ``properties``; a page is complete or not there at all."""

    @abstractmethod
    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        """Pages of labels and aliases in the source's language, one entry per asked item."""

    def events(self, since: datetime) -> Iterator[ItemEvent | None] | None:  # noqa: ARG002
        """What changes, as it happens, beginning at ``since``; None in between, at least once a second, so that the
        reader can do other things. An event may come twice, and may name what ``heads`` does not know yet.

        None is left out: where that can't be promised (a gap, a line that stays broken), the iteration raises
        ``SourceDown``. None instead of an iterator: this source does not tell by itself.
        """
        return None
