"""The audit trail: a hash chain of what was done, by whom and when."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kbsync.domain.audit import AuditEvent


class AuditReader(ABC):
    """Reads the audit trail."""

    @abstractmethod
    def audit(self, *, after: int = 0, limit: int | None = None, kind: str | None = None) -> list[AuditEvent]:
        """At most ``limit`` events with seq > ``after`` (of one kind), in order."""

    @abstractmethod
    def newest_event(self, kind: str | None = None) -> AuditEvent | None:
        """The last event (of that kind)."""

    @abstractmethod
    def audit_head(self) -> str:
        """Hash of the newest event (``GENESIS`` when there is none)."""

    @abstractmethod
    def rows_head(self) -> str:
        """Head of the row journal, which holds the hash of every row that decides what is written (``GENESIS`` when it
        is empty)."""


class AuditWriter(AuditReader):
    """Extends the audit trail."""

    @abstractmethod
    def append_audit(self, kind: str, actor: str, body: Mapping[str, Any], at: datetime) -> AuditEvent:
        """Add an event at the end of the chain."""
