"""The suite notices a ledger that breaks a promise about the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pytest

from kbsync.domain.audit import AuditEvent
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.repository.audit import SqlAuditReader
from kbsync.testing.conformance.ledgers.audit import AuditConformance

SUITE = AuditConformance()


def test_a_reader_that_leaves_out_the_limit(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    audit = SqlAuditReader.audit

    def unlimited(
        self: SqlAuditReader, *, after: int = 0, limit: int | None = None, kind: str | None = None
    ) -> list[AuditEvent]:
        return audit(self, after=after, kind=kind)

    monkeypatch.setattr(SqlAuditReader, "audit", unlimited)
    with pytest.raises(AssertionError):
        SUITE.test_audit_events_form_a_chain(ledger)


def test_a_writer_that_forgets_events(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: object, kind: str, actor: str, body: Mapping[str, Any], at: datetime) -> AuditEvent:
        return AuditEvent(seq=1, at=at, kind=kind, actor=actor, body=dict(body), prev="", hash="")

    monkeypatch.setattr("kbsync.ledger.repository.audit.SqlAuditWriter.append_audit", forget)
    with pytest.raises(AssertionError):
        SUITE.test_four_writers_append_fifty_each_without_an_error(ledger)
