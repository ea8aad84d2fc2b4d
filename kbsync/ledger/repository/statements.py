"""Items, their statements, and the history of every change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Text, bindparam, delete, select, type_coerce
from sqlalchemy.exc import DBAPIError

from kbsync.domain.audit import GENESIS
from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import Damaged, DataError
from kbsync.domain.history import HistoryLink, link_hash
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, PropertyId, Statement
from kbsync.ledger import tables
from kbsync.ledger.repository.base import Repository, batches
from kbsync.ledger.repository.statement_rows import statement_of, statement_row
from kbsync.ledger.unreadable import is_unreadable, why
from kbsync.ports import PullCounts, StatementChange, StatementReader, StatementWriter

_ITEMS = 500
"""Items that are compared and written at once."""

_AS_STORED = ("seen_at", "before", "after")
"""Columns of the history that are read as stored text when it is verified, so that a row that can't be parsed is
reported, too."""

_LINKS = 2000
"""Number of rows of the history that are in memory at once while it is verified."""


class SqlStatementReader(Repository, StatementReader):
    """Reads what the source said."""

    def watermark(self, source: str) -> datetime | None:
        """The source's server time at the last complete pull."""
        return self._connection.scalar(select(tables.watermarks.c.at).where(tables.watermarks.c.source == source))

    def heads(self, items: Sequence[ItemId]) -> dict[ItemId, ItemHead]:
        """Stored heads of those items that are known, read in batches."""
        heads = {}
        for batch in batches(items):
            for row in self._connection.execute(select(tables.items).where(tables.items.c.id.in_(batch))):
                heads[ItemId(row.id)] = ItemHead(**row._mapping)
        return heads

    def redirects(self) -> dict[ItemId, ItemId]:
        """Every known item that is a redirect, and where it leads."""
        query = select(tables.items.c.id, tables.items.c.redirect_to).where(tables.items.c.redirect_to.is_not(None))
        return {ItemId(row.id): ItemId(row.redirect_to) for row in self._connection.execute(query)}

    def members(self, property: PropertyId) -> list[ItemId]:
        """The items that the subject pattern found when it was last asked, sorted."""
        query = select(tables.members.c.item).where(tables.members.c.property == property)
        return sorted(ItemId(item) for item in self._connection.scalars(query))

    def statements(self, subject: ItemId, property: PropertyId) -> list[Statement]:
        """Live statements of one item, by id."""
        return self.statements_of(property, [subject]).get(subject, [])

    def statements_of(self, property: PropertyId, subjects: Sequence[ItemId]) -> dict[ItemId, list[Statement]]:
        """Live statements of many items, read in batches; each list by id."""
        statements: dict[ItemId, list[Statement]] = defaultdict(list)
        for batch in batches(subjects):
            wanted = tables.statements.c.subject.in_(batch) & (tables.statements.c.property == property)
            for row in self._connection.execute(select(tables.statements).where(wanted)):
                statements[ItemId(row.subject)].append(statement_of(row))
        return {subject: sorted(group, key=lambda s: s.id) for subject, group in statements.items()}

    def statement_history(self, subject: ItemId, property: PropertyId) -> list[StatementChange]:
        """All changes of one item's statements, in the order in which they were recorded."""
        table = tables.statement_history
        wanted = (table.c.subject == subject) & (table.c.property == property)
        rows = self._connection.execute(select(table).where(wanted).order_by(table.c.seq))
        return [_change(row) for row in rows]

    def history_links(self) -> Iterator[HistoryLink]:
        """The hash chain of the history. Rows are fetched while the iterator is consumed."""
        table = tables.statement_history
        plain = [type_coerce(table.c[name], Text).label(name) for name in _AS_STORED]
        columns = [c for c in table.c if c.name not in _AS_STORED]
        query = select(*columns, *plain).order_by(table.c.seq).execution_options(yield_per=_LINKS)
        try:
            for row in self._connection.execute(query):
                yield HistoryLink(**row._mapping)
        except DBAPIError as error:
            if not is_unreadable(error):
                raise
            raise Damaged(why("the statement history", error)) from error

    def history_head(self) -> str:
        """Hash of the newest row of the history, or ``GENESIS``."""
        table = tables.statement_history
        return self._connection.scalar(select(table.c.hash).order_by(table.c.seq.desc()).limit(1)) or GENESIS


class SqlStatementWriter(SqlStatementReader, StatementWriter):
    """Writes what the source said."""

    def set_watermark(self, source: str, at: datetime) -> None:
        """Insert or replace the source's watermark."""
        self._upsert(tables.watermarks, [{"source": source, "at": at}])

    def set_members(self, property: PropertyId, items: Sequence[ItemId], at: datetime) -> None:
        """Insert the new members, and delete items that are no longer members."""
        stored, wanted = set(self.members(property)), set(items)
        for batch in batches(sorted(stored - wanted)):
            left = (tables.members.c.property == property) & tables.members.c.item.in_(batch)
            self._delete(tables.members, left)
        self._insert(
            tables.members, [{"property": property, "item": item, "found_at": at} for item in sorted(wanted - stored)]
        )

    def record_items(self, records: Sequence[ItemRecord], properties: Sequence[PropertyId], at: datetime) -> PullCounts:
        """Record in batches of distinct items, so that a second record of an item is compared with its first."""
        counts = PullCounts()
        for batch in _distinct(records):
            counts += self._record(batch, frozenset(properties), at)
        return counts

    def _record(self, records: Sequence[ItemRecord], properties: frozenset[PropertyId], at: datetime) -> PullCounts:
        stored = self.heads([r.head.id for r in records])
        live = self._live([r.head.id for r in records])
        heads, changes, unchanged = [], [], 0
        for record in records:
            head = _advance(record.head, stored.get(record.head.id))
            if head is None:
                continue
            heads.append(head)
            before = {s.id: s for s in live.get(head.id, ()) if _gone(head) or s.property in properties}
            differences = _compare(record, before, properties)
            unchanged += len(before) - sum(c.before is not None for c in differences)
            changes += [(head, change) for change in differences]
        self._upsert(tables.items, [asdict(head) for head in heads])
        self._apply([change for _, change in changes])
        self._insert(
            tables.statement_history, _chained([_history_row(h, c, at) for h, c in changes], self.history_head())
        )
        return PullCounts(
            added=sum(c.before is None for _, c in changes),
            changed=sum(c.before is not None and c.after is not None for _, c in changes),
            removed=sum(c.after is None for _, c in changes),
            unchanged=unchanged,
        )

    def _live(self, items: Sequence[ItemId]) -> dict[ItemId, list[Statement]]:
        statements: dict[ItemId, list[Statement]] = defaultdict(list)
        for row in self._connection.execute(select(tables.statements).where(tables.statements.c.subject.in_(items))):
            statements[ItemId(row.subject)].append(statement_of(row))
        return statements

    def _apply(self, changes: Sequence[_Change]) -> None:
        """Make the changes to the live statements."""
        old = [{"old": c.before.id} for c in changes if c.before]
        if old:
            self._connection.execute(delete(tables.statements).where(tables.statements.c.id == bindparam("old")), old)
        self._insert(tables.statements, [statement_row(c.after) for c in changes if c.after])


@dataclass(frozen=True, slots=True)
class _Change:
    """A statement before and after; None where it does not exist."""

    before: Statement | None
    after: Statement | None

    @property
    def statement(self) -> Statement:
        """The statement after the change, or else before it; both have the same id, subject and property."""
        statement = self.after or self.before
        assert statement is not None
        return statement


def _distinct(records: Sequence[ItemRecord]) -> Iterator[list[ItemRecord]]:
    """Batches in which no item occurs twice, so that each record is compared with the state that the last one left."""
    batch: dict[ItemId, ItemRecord] = {}
    for record in records:
        if record.head.id in batch or len(batch) == _ITEMS:
            yield list(batch.values())
            batch = {}
        batch[record.head.id] = record
    if batch:
        yield list(batch.values())


def _gone(head: ItemHead) -> bool:
    """Whether the item is deleted or redirected, and so has no statements of its own."""
    return head.deleted or head.redirect_to is not None


def _advance(head: ItemHead, stored: ItemHead | None) -> ItemHead | None:
    """The head to store; None if the source answered with an older revision than the ledger's.

    A deletion has no revision of its own, nor has a redirect on some endpoints. Both always count as newer, and keep
    the last known revision.
    """
    if head.deleted or (head.redirect_to and not head.revision):
        revision = max(head.revision, stored.revision if stored else 0)
        return replace(head, revision=revision, redirect_to=None if head.deleted else head.redirect_to)
    return None if stored and head.is_older_than(stored) else head


def _compare(record: ItemRecord, before: dict[str, Statement], properties: frozenset[PropertyId]) -> list[_Change]:
    """The changes from the live statements ``before`` to those of the record, by id."""
    after = {} if _gone(record.head) else {s.id: s for s in record.statements}
    for statement in after.values():
        if statement.subject != record.head.id or statement.property not in properties:
            raise DataError(
                f"Statement {statement.id} ({statement.subject} {statement.property}) came with the record of "
                f"{record.head.id}, of which {', '.join(sorted(properties))} were asked."
            )
    changes = (_Change(before.get(id), after.get(id)) for id in sorted(before | after))
    return [change for change in changes if change.before != change.after]


def _chained(rows: list[dict[str, Any]], prev: str) -> list[dict[str, Any]]:
    """Add its hash to every row, in the order in which they are written; ``prev`` is the hash of the row before
    them."""
    for row in rows:
        stored = {k: canonical_json(row[k]) if row[k] is not None else None for k in ("before", "after")}
        prev = row["hash"] = link_hash(prev, **(row | stored))
    return rows


def _change(row: Row[Any]) -> StatementChange:
    return StatementChange(**{name: row._mapping[name] for name in StatementChange.__dataclass_fields__})


def _history_row(head: ItemHead, change: _Change, at: datetime) -> dict[str, Any]:
    return {
        "statement_id": change.statement.id,
        "subject": change.statement.subject,
        "property": change.statement.property,
        "revision": head.revision,
        "seen_at": at,
        "before": change.before,
        "after": change.after,
    }
