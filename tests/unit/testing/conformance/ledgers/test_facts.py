"""The suite notices a ledger that breaks a promise about facts."""

from __future__ import annotations

import pytest

from kbsync.ledger.ledger import SqlLedger
from kbsync.ledger.repository.facts import SqlFactReader, SqlFactWriter
from kbsync.ledger.repository.verdicts import SqlVerdictWriter
from kbsync.testing.conformance.ledgers.facts import FactConformance
from kbsync.testing.conformance.ledgers.support import put
from kbsync.testing.samples import record

SUITE = FactConformance()


@pytest.fixture
def known(ledger: SqlLedger) -> SqlLedger:
    put(ledger, *(record(subject=subject) for subject in ("Q9", "Q10", "Q145")))
    return ledger


def test_a_reader_that_does_not_sort(known: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    facts = SqlFactReader.facts
    monkeypatch.setattr(SqlFactReader, "facts", lambda self, *which: facts(self, *which)[::-1])
    with pytest.raises(AssertionError):
        SUITE.test_facts_come_back_sorted_and_by_property(known)


def test_a_writer_that_adds_every_belief_again(known: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlFactWriter, "_newly_believed", lambda self, records: [r for r in records if r.believed])
    with pytest.raises(AssertionError):
        SUITE.test_every_belief_is_kept_once(known)


def test_a_writer_that_lets_nothing_out_of_quarantine(known: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SqlFactWriter, "clear_quarantine", lambda self, key: None)
    with pytest.raises(AssertionError):
        SUITE.test_quarantine_holds_the_value_that_was_tried(known)


@pytest.mark.slow
def test_a_writer_that_counts_known_verdicts_too(known: SqlLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    record_verdicts = SqlVerdictWriter.record_verdicts
    count = lambda self, verdicts, at: record_verdicts(self, verdicts, at) and len(verdicts)  # noqa: E731
    monkeypatch.setattr(SqlVerdictWriter, "record_verdicts", count)
    with pytest.raises(AssertionError):
        SUITE.test_many_verdicts_are_counted_rightly(known)
