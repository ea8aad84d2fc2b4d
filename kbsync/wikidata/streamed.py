"""A source that reports changes by itself: a SPARQL endpoint with an event stream beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId
from kbsync.ports import ItemEvent, StatementSource
from kbsync.wikidata.events import EventStream


class StreamedSource(StatementSource):
    """Sends every query to ``polled``, and reports changes from ``stream``."""

    def __init__(self, polled: StatementSource, stream: EventStream) -> None:
        self.name = polled.name
        self._polled = polled
        self._stream = stream

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

    def touched(self, item: ItemId, after: int, until: int, properties: Sequence[PropertyId]) -> frozenset[str] | None:
        return self._polled.touched(item, after, until, properties)

    def describe(self) -> str:
        return self._polled.describe()

    def events(self, since: datetime) -> Iterator[ItemEvent | None]:
        return self._stream.events(since)
