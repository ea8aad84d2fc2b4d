"""The suite notices a ledger that breaks a promise about statements."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import pytest

from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.repository.statements import SqlStatementReader, SqlStatementWriter
from kbsync.testing.conformance.ledgers.statements import StatementConformance
from kbsync.testing.samples import CAPITAL, HEAD_OF_STATE

SUITE = StatementConformance()


def test_a_ledger_that_takes_older_revisions(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.ledger.repository.statements._advance", lambda head, stored: head)
    with pytest.raises(AssertionError):
        SUITE.test_an_older_revision_is_ignored(ledger)


def test_a_ledger_that_removes_what_was_not_asked_for(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    record_items, both = SqlStatementWriter.record_items, [HEAD_OF_STATE, CAPITAL]
    monkeypatch.setattr(
        SqlStatementWriter, "record_items", lambda self, records, properties, at: record_items(self, records, both, at)
    )
    with pytest.raises(AssertionError):
        SUITE.test_statements_of_properties_not_asked_for_stay(ledger)


def test_a_ledger_without_history(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlStatementReader, "statement_history", lambda self, subject, property: [])
    with pytest.raises(AssertionError):
        SUITE.test_statements_appear_change_and_disappear_with_history(ledger)


def test_a_ledger_that_keeps_members_for_ever(ledger: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    set_members = SqlStatementWriter.set_members

    def add(self: SqlStatementWriter, property: PropertyId, items: Sequence[ItemId], at: datetime) -> None:
        set_members(self, property, [*self.members(property), *items], at)

    monkeypatch.setattr(SqlStatementWriter, "set_members", add)
    with pytest.raises(AssertionError):
        SUITE.test_members_are_replaced_as_a_whole(ledger)
