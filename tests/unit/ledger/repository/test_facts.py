"""Counting and searching facts in the database, as it is done by hand over all records."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.errors import StoreError
from kbsync.domain.fact import FactKey, FactRecord
from kbsync.domain.statement import ItemId
from kbsync.domain.verdict import Verdict, VerdictKind
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import FactCounts
from kbsync.testing.samples import CAPITAL, HEAD_OF_STATE, NOW, fact, record, state, verdict

SUBJECTS = [f"Q{n}" for n in range(1, 41)]


def drawn(draw: random.Random, subject: str) -> FactRecord:
    """Observed; and believed or not, the same or something else or that there is nothing."""
    observed = state(draw.choice(["Q1", "Q2"]))
    believed = draw.choice([None, observed, state("Q3"), state()])
    return replace(fact(subject), observed=observed, believed=believed, believed_at=NOW if believed else None)


@pytest.fixture
def records(ledger: SqlLedger) -> list[FactRecord]:
    draw = random.Random(3)
    records = [drawn(draw, subject) for subject in SUBJECTS]
    with ledger.write() as tx:
        tx.record_items([record(subject=subject) for subject in SUBJECTS], [HEAD_OF_STATE], NOW)
        tx.put_facts([*records, fact("Q1", CAPITAL, believed=True)])
    return records


def test_facts_are_counted_by_what_is_believed(ledger: SqlLedger, records: list[FactRecord]) -> None:
    believed = [r for r in records if r.believed is not None]
    with ledger.read() as tx:
        counts = tx.fact_counts(HEAD_OF_STATE)
        assert tx.waiting(HEAD_OF_STATE) == sorted((r for r in records if r.pending), key=lambda r: r.key)
    assert counts == FactCounts(
        facts=len(records),
        believed=len(believed),
        askable=sum(bool(r.believed and r.believed.values) for r in records),
        waiting=sum(r.pending for r in records),
    )
    assert 0 < counts.askable < counts.believed < counts.facts and counts.waiting


def test_verdicts_on_what_is_no_longer_believed_do_not_count(ledger: SqlLedger, records: list[FactRecord]) -> None:
    askable = [r for r in records if r.believed and r.believed.values]
    judged, stale, rest = askable[:5], askable[5:7], askable[7:]

    def verdict_on(known: FactRecord, kind: VerdictKind, *, model: str = "model", old: bool = False) -> Verdict:
        assert known.believed is not None
        value_hash = state("Q9").value_hash if old else known.believed.value_hash
        return verdict(known.key, model=model, value_hash=value_hash, kind=kind)

    verdicts = [
        *(verdict_on(r, VerdictKind.CURRENT) for r in judged),
        *(verdict_on(r, VerdictKind.STALE, old=True) for r in stale),
        *(verdict_on(r, VerdictKind.STALE, model="other") for r in askable),
    ]
    with ledger.write() as tx:
        assert tx.record_verdicts(verdicts, NOW) == len(verdicts)
        assert tx.verdict_counts(HEAD_OF_STATE, "model", "t") == {VerdictKind.CURRENT: len(judged)}
        assert tx.verdict_counts(HEAD_OF_STATE, "model", "other words") == {}
        unjudged = tx.unjudged(HEAD_OF_STATE, "model", "t")
        assert tx.unjudged(HEAD_OF_STATE, "other", "t") == []
    assert [r.key for r in unjudged] == sorted(r.key for r in [*stale, *rest])


def test_a_decision_about_no_fact_breaks_a_reference(ledger: SqlLedger) -> None:
    key = FactKey(ItemId("Q999"), HEAD_OF_STATE)
    pin = Decision(key=key, kind=DecisionKind.PIN, reason="", actor="cli:alice", at=NOW)
    with pytest.raises(StoreError, match=r"(?i)foreign key"), ledger.write() as tx:
        tx.set_decision(pin)
