"""Two endpoints that share one Wikidata: since 2025 its scholarly articles are on a separate endpoint."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from kbsync.domain.relation import Graph, Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId
from kbsync.ports import StatementSource


class SplitSource(StatementSource):
    """Asks ``main`` first, and ``scholarly`` for the items that ``main`` does not know.

    A relation's pattern goes to the endpoint of its ``graph``. An item that neither endpoint knows is deleted.
    """

    def __init__(self, main: StatementSource, scholarly: StatementSource) -> None:
        self.name = main.name
        self._main = main
        self._scholarly = scholarly

    def server_time(self) -> datetime:
        """The earlier of the two endpoints' times."""
        return min(self._main.server_time(), self._scholarly.server_time())

    def subjects(self, relation: Relation) -> list[ItemId]:
        return (self._scholarly if relation.graph is Graph.SCHOLARLY else self._main).subjects(relation)

    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        heads = {head.id: head for head in self._main.heads(items)}
        absent = [head.id for head in heads.values() if head.deleted]
        if absent:
            heads |= {head.id: head for head in self._scholarly.heads(absent)}
        return iter(heads.values())

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        absent: list[ItemId] = []
        for page in self._main.records(items, properties):
            absent += [record.head.id for record in page if record.head.deleted]
            if present := [record for record in page if not record.head.deleted]:
                yield present
        yield from self._scholarly.records(absent, properties)

    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        unnamed: list[ItemId] = []
        for page in self._main.labels(items):
            unnamed += [entry.item for entry in page if entry.label is None and not entry.aliases]
            if named := [entry for entry in page if entry.label is not None or entry.aliases]:
                yield named
        yield from self._scholarly.labels(unnamed)

    def touched(self, item: ItemId, after: int, until: int, properties: Sequence[PropertyId]) -> frozenset[str] | None:
        known = self._main.touched(item, after, until, properties)
        return self._scholarly.touched(item, after, until, properties) if known is None else known

    def describe(self) -> str:
        return f"{self._main.describe()}; scholarly: {self._scholarly.describe()}"
