"""A source that hears of changes from a stream, and asks the endpoint about the items that it names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId
from kbsync.ports import StatementSource
from kbsync.wikidata.events import EventStream

OVERLAP = timedelta(minutes=10)
"""So much is heard again each time: the servers behind one endpoint are not all equally far."""


class StreamedSource(StatementSource):
    """``polled`` with a stream beside it: everything is answered by ``polled``, and :meth:`changes` by the stream."""

    def __init__(self, polled: StatementSource, stream: EventStream, *, overlap: timedelta = OVERLAP) -> None:
        self.name = polled.name
        self._polled = polled
        self._stream = stream
        self._overlap = overlap

    def server_time(self) -> datetime:
        return self._polled.server_time()

    def subjects(self, relation: Relation) -> list[ItemId]:
        return self._polled.subjects(relation)

    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        return self._polled.heads(items)

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        return self._polled.records(items, properties)

    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        return self._polled.labels(items)

    def changes(self, since: datetime) -> frozenset[ItemId] | None:
        return self._stream.changed_since(since - self._overlap)
