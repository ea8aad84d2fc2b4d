"""The names of items, believed and pending."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import select

from kbsync.domain.name_trust import PendingNames
from kbsync.domain.standing import Standing
from kbsync.domain.statement import ItemId, Labels
from kbsync.ledger import tables
from kbsync.ledger.repository.base import Repository, batches
from kbsync.ports import NameReader, NameWriter


class SqlNameReader(Repository, NameReader):
    """Reads what items are called."""

    def labels(self, items: Sequence[ItemId]) -> dict[ItemId, Labels]:
        """The believed names of those items that have some, read in batches."""
        labels = {}
        for batch in batches(items):
            for row in self._connection.execute(select(tables.labels).where(tables.labels.c.item.in_(batch))):
                labels[ItemId(row.item)] = Labels(item=ItemId(row.item), label=row.label, aliases=row.aliases)
        return labels

    def pending_names(self, items: Sequence[ItemId]) -> dict[ItemId, PendingNames]:
        """The names that are not believed yet, of those items that have some; read in batches."""
        pending, table = {}, tables.pending_names
        for batch in batches(items):
            for row in self._connection.execute(select(table).where(table.c.item.in_(batch))):
                pending[ItemId(row.item)] = PendingNames(
                    names=Labels(item=ItemId(row.item), label=row.label, aliases=row.aliases),
                    standing=Standing(here=row.since, there=row.since_there, origin=row.origin),
                )
        return pending


class SqlNameWriter(SqlNameReader, NameWriter):
    """Writes what items are called."""

    def record_labels(self, labels: Sequence[Labels]) -> None:
        """Insert or replace the items' believed names."""
        self._upsert(tables.labels, [asdict(entry) for entry in labels])

    def set_pending_names(self, names: Sequence[PendingNames]) -> None:
        """Insert or replace the items' pending names."""
        self._upsert(
            tables.pending_names,
            [
                asdict(entry.names)
                | {"since": entry.standing.here, "since_there": entry.standing.there, "origin": entry.standing.origin}
                for entry in names
            ],
        )

    def clear_pending_names(self, items: Sequence[ItemId]) -> None:
        """Delete the items' pending names."""
        for batch in batches(items):
            self._delete(tables.pending_names, tables.pending_names.c.item.in_(batch))
