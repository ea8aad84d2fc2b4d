"""Whatever is recorded in whatever order: live statements follow a plain model, and history replays to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kbsync.domain.statement import ItemId, ItemRecord, PropertyId, Rank, Snak, Statement
from kbsync.ports import Ledger, LedgerReader, PullCounts
from kbsync.testing.samples import CAPITAL, HEAD_OF_STATE, NOW, record, statement

SUBJECTS = (ItemId("Q1"), ItemId("Q2"), ItemId("Q3"))
PROPERTIES = (HEAD_OF_STATE, CAPITAL)


class Undone(Exception):
    """Rolls an example's transaction back."""


@st.composite
def statements(draw: st.DrawFn, subject: str, properties: Sequence[PropertyId]) -> list[Statement]:
    chosen = []
    for number in draw(st.sets(st.integers(1, 4))):
        # A statement keeps its property for life: the number decides which.
        property = PROPERTIES[number % 2]
        if property not in properties:
            continue
        value = draw(st.sampled_from(["Q7", "Q8", None]))
        snak = Snak.VALUE if value else Snak.NOVALUE
        rank = draw(st.sampled_from(Rank))
        chosen.append(statement(number, value, subject=subject, property=property, snak=snak, rank=rank))
    return chosen


@st.composite
def calls(draw: st.DrawFn) -> tuple[list[ItemRecord], list[PropertyId]]:
    properties = draw(st.sampled_from([[HEAD_OF_STATE], [CAPITAL], list(PROPERTIES)]))
    records = []
    for subject in draw(st.lists(st.sampled_from(SUBJECTS), max_size=4)):
        heads: list[dict[str, Any]] = [{}, {}, {}, {"deleted": True}, {"redirect_to": "Q9"}]
        head = draw(st.sampled_from(heads))
        held = draw(statements(subject, properties))
        records.append(record(*held, subject=subject, revision=draw(st.integers(0, 5)), **head))
    return records, properties


@dataclass
class Model:
    """The same rules on dictionaries."""

    revisions: dict[str, int] = field(default_factory=dict)
    live: dict[str, Statement] = field(default_factory=dict)

    def take(self, item: ItemRecord, properties: Sequence[PropertyId]) -> None:
        head = item.head
        known = self.revisions.get(head.id, 0)
        if head.revision < known and not head.deleted and not (head.redirect_to and head.revision == 0):
            return
        self.revisions[head.id] = max(head.revision, known)
        gone = head.deleted or head.redirect_to
        for id, old in list(self.live.items()):
            if old.subject == head.id and (gone or old.property in properties):
                del self.live[id]
        if not gone:
            self.live |= {s.id: s for s in item.statements}


def live(tx: LedgerReader) -> dict[str, Statement]:
    return {s.id: s for subject in SUBJECTS for property in PROPERTIES for s in tx.statements(subject, property)}


def replay(tx: LedgerReader) -> dict[str, Statement]:
    """Follow the history; every row must start from what the row before it left."""
    changes = [c for subject in SUBJECTS for property in PROPERTIES for c in tx.statement_history(subject, property)]
    state: dict[str, Statement] = {}
    for change in sorted(changes, key=lambda c: c.seq):
        assert state.pop(change.statement_id, None) == change.before
        assert change.before != change.after
        if change.after is not None:
            state[change.statement_id] = change.after
    return state


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(calls(), max_size=8))
def test_live_statements_follow_the_model_and_history_replays_to_them(
    ledger: Ledger, sequence: list[tuple[list[ItemRecord], list[PropertyId]]]
) -> None:
    model, total = Model(), PullCounts()
    try:
        with ledger.write() as tx:
            for records, properties in sequence:
                total += tx.record_items(records, properties, NOW)
                for item in records:
                    model.take(item, properties)
                assert live(tx) == model.live
            assert replay(tx) == model.live
            assert total.added - total.removed == len(model.live)
            assert {h.id: h.revision for h in tx.heads(SUBJECTS).values()} == model.revisions
            raise Undone
    except Undone:
        pass
