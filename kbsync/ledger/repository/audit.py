"""The audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import select

from kbsync.domain.audit import GENESIS, AuditEvent, chain
from kbsync.domain.canonical import plain
from kbsync.ledger import tables as t
from kbsync.ledger.repository.base import Repository


class AuditReader(Repository):
    def audit(self, *, after: int = 0, limit: int | None = None) -> list[AuditEvent]:
        events = t.audit_events
        query = select(events).where(events.c.seq > after).order_by(events.c.seq).limit(limit)
        return [AuditEvent(**row._mapping) for row in self._connection.execute(query)]

    def newest_event(self, kind: str | None = None) -> AuditEvent | None:
        events = t.audit_events
        query = select(events).order_by(events.c.seq.desc()).limit(1)
        if kind is not None:
            query = query.where(events.c.kind == kind)
        row = self._connection.execute(query).one_or_none()
        return AuditEvent(**row._mapping) if row else None

    def audit_head(self) -> str:
        return self._head()[1]

    def _head(self) -> tuple[int, str]:
        events = t.audit_events
        newest = select(events.c.seq, events.c.hash).order_by(events.c.seq.desc()).limit(1)
        row = self._connection.execute(newest).one_or_none()
        return (row.seq, row.hash) if row else (0, GENESIS)


class AuditWriter(AuditReader):
    def append_audit(self, kind: str, actor: str, body: Mapping[str, Any], at: datetime) -> AuditEvent:
        """Writers are serialised, so the head that is read here is the one that the new event follows."""
        seq, prev = self._head()
        event = chain(seq + 1, at, kind, actor, plain(dict(body)), prev)
        row = {field: getattr(event, field) for field in AuditEvent.__dataclass_fields__}
        self._insert(t.audit_events, [row])
        return event
