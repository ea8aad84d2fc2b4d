"""The audit trail."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import Row, Select, Text, select, type_coerce
from sqlalchemy.exc import DBAPIError

from kbsync.domain.audit import GENESIS, ROWS, AuditEvent, chain
from kbsync.domain.canonical import canonical_json, plain, timestamp
from kbsync.domain.errors import Damaged
from kbsync.ledger import row_journal, tables
from kbsync.ledger.repository.base import Repository
from kbsync.ledger.types import utc
from kbsync.ledger.unreadable import is_unreadable, why
from kbsync.ports import AuditReader, AuditWriter


class SqlAuditReader(Repository, AuditReader):
    """Reads the audit trail."""

    def audit(self, *, after: int = 0, limit: int | None = None, kind: str | None = None) -> list[AuditEvent]:
        """At most ``limit`` events with seq > ``after`` (of one kind), in order; raises ``Damaged``."""
        events = tables.audit_events
        query = _plain().where(events.c.seq > after).order_by(events.c.seq).limit(limit)
        if kind is not None:
            query = query.where(events.c.kind == kind)
        return [_event(row) for row in self._rows(query)]

    def newest_event(self, kind: str | None = None) -> AuditEvent | None:
        """The last event (of that kind); raises ``Damaged``."""
        events = tables.audit_events
        query = _plain().order_by(events.c.seq.desc()).limit(1)
        if kind is not None:
            query = query.where(events.c.kind == kind)
        row = self._connection.execute(query).one_or_none()
        return _event(row) if row else None

    def audit_head(self) -> str:
        """Hash of the newest event, or ``GENESIS``."""
        return self._head()[1]

    def rows_head(self) -> str:
        """Hash of the row journal's newest entry, or ``GENESIS``."""
        return row_journal.head(self._connection)

    def _rows(self, query: Select[Any]) -> Iterator[Row[Any]]:
        try:
            yield from self._connection.execute(query)
        except DBAPIError as error:
            if not is_unreadable(error):
                raise
            raise Damaged(why("the audit trail", error)) from error

    def _head(self) -> tuple[int, str]:
        """Number and hash of the newest event."""
        events = tables.audit_events
        newest = select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)
        row = self._connection.execute(newest).one_or_none()
        return (row.seq, row.hash) if row else (0, GENESIS)


def _plain() -> Select[Any]:
    """Select times and bodies as stored text, so that a row that can't be parsed can be named."""
    events = tables.audit_events.c
    plain = (type_coerce(events[name], Text).label(name) for name in ("at", "body"))
    return select(events.seq, events.kind, events.actor, events.prev, events.hash, *plain)


def _event(row: Row[Any]) -> AuditEvent:
    """The event of a row; raises ``Damaged`` for a row that kbsync can't have written."""
    try:
        at, body = utc(row.at), json.loads(row.body)
        if not isinstance(body, dict) or canonical_json(body) != row.body or row.at not in (at, timestamp(at)):
            raise ValueError("it is not as kbsync writes")
    except (ValueError, RecursionError) as error:
        raise Damaged(
            f"event {row.seq} was changed after it was written: it can't be read ({error})",
            next_step="Keep the ledger as it is, compare it with a backup, and find out who could write to it.",
        ) from error
    return AuditEvent(seq=row.seq, at=at, kind=row.kind, actor=row.actor, body=body, prev=row.prev, hash=row.hash)


class SqlAuditWriter(SqlAuditReader, AuditWriter):
    """Extends the audit trail."""

    def append_audit(self, kind: str, actor: str, body: Mapping[str, Any], at: datetime) -> AuditEvent:
        """Insert the next event. There is one writer at a time, so the event follows the head that is read here."""
        seq, prev = self._head()
        rows = self.rows_head()
        bound = dict(body) | ({ROWS: rows} if rows != GENESIS else {})
        event = chain(seq + 1, at, kind, actor, plain(bound), prev)
        row = {field: getattr(event, field) for field in AuditEvent.__dataclass_fields__}
        self._insert(tables.audit_events, [row])
        return event
