"""What every ledger must do with facts, verdicts, the quarantine and decisions."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.errors import StoreError
from kbsync.domain.verdict import VerdictKind
from kbsync.ports import Ledger, Quarantined
from kbsync.testing.conformance.ledgers.support import fact_key, put
from kbsync.testing.samples import HEAD_OF_STATE, HOUR, NOW, fact, record, state, verdict


class FactConformance:
    """Facts come back with everything that was believed, found and decided about them."""

    @pytest.fixture
    def known(self, ledger: Ledger) -> Ledger:
        """The ledger, with the items that the facts are about."""
        put(ledger, *(record(subject=subject) for subject in ("Q9", "Q10", "Q145")))
        return ledger

    def test_facts_come_back_sorted_and_by_property(self, known: Ledger) -> None:
        facts = [fact("Q9"), fact("Q10", believed=True), fact("Q10", "P36"), fact("Q145")]
        with known.write() as tx:
            tx.put_facts(facts)
        with known.read() as tx:
            assert tx.facts() == sorted(facts, key=lambda record: record.key)
            assert [f.key.subject for f in tx.facts(HEAD_OF_STATE)] == ["Q10", "Q145", "Q9"]
            assert tx.fact(fact_key("Q10")) == facts[1]
            assert tx.fact(fact_key("Q10", "P999")) is None

    def test_facts_are_replaced(self, known: Ledger) -> None:
        newer = replace(fact(), observed=state("Q1", "Q2", revision=9), believed=state(), believed_at=NOW)
        with known.write() as tx:
            tx.put_facts([fact()])
            tx.put_facts([newer])
            assert tx.facts() == [newer]
            stored = tx.fact(newer.key)
            assert stored is not None and stored.observed.since.utcoffset() == timedelta(0)

    def test_every_belief_is_kept_once(self, known: Ledger) -> None:
        first, other = fact(believed=True), fact("Q9", believed=True)
        assert first.believed is not None
        seen_again = replace(first, observed=state("Q1", revision=9))
        nothing = replace(first, believed=state(revision=10), believed_at=NOW)
        with known.write() as tx:
            tx.put_facts([fact(), other])
            assert tx.beliefs(first.key) == []
        for record_ in (first, seen_again, nothing, nothing, replace(first, believed_at=NOW + HOUR)):
            with known.write() as tx:
                tx.put_facts([record_])
        with known.read() as tx:
            told = [(b.at, [v.text for v in b.state.values], b.state.revision) for b in tx.beliefs(first.key)]
            assert [b.state for b in tx.beliefs(other.key)] == [other.believed]
        assert told == [
            (NOW - HOUR, ["Q9682"], first.believed.revision),
            (NOW, [], 10),
            (NOW + HOUR, ["Q9682"], first.believed.revision),
        ]

    def test_a_belief_that_was_taken_back_with_its_transaction_never_was(self, known: Ledger) -> None:
        with pytest.raises(RuntimeError), known.write() as tx:
            tx.put_facts([fact(believed=True)])
            raise RuntimeError
        with known.read() as tx:
            assert tx.beliefs(fact().key) == []

    def test_verdicts_are_kept_once_per_key(self, known: Ledger) -> None:
        key = fact_key("Q145")
        first = verdict(key)
        others = [verdict(key, value_hash="w"), verdict(key, model="other")]
        with known.write() as tx:
            tx.put_facts([fact()])
            assert tx.record_verdicts([first], NOW) == 1
            assert tx.record_verdicts([replace(first, kind=VerdictKind.CURRENT), *others], NOW) == 2
            assert tx.record_verdicts([], NOW) == 0
        with known.read() as tx:
            assert tx.verdicts("model") == {first.key: first, others[0].key: others[0]}
            assert tx.verdicts("other") == {others[1].key: others[1]}
            assert tx.verdicts("unknown") == {}

    def test_many_verdicts_are_counted_rightly(self, known: Ledger) -> None:
        key = fact_key("Q145")
        with known.write() as tx:
            tx.put_facts([fact()])
            tx.record_verdicts([verdict(key, value_hash=str(n)) for n in range(700)], NOW)
            assert tx.record_verdicts([verdict(key, value_hash=str(n)) for n in range(2500)], NOW) == 1800

    def test_chosen_facts_are_read_with_all_that_one_model_said_of_them(self, known: Ledger) -> None:
        first, second, unknown = fact_key("Q145"), fact_key("Q10"), fact_key("Q999")
        with known.write() as tx:
            tx.put_facts([fact(), fact("Q10"), fact("Q9")])
            said = [verdict(first, value_hash="a"), verdict(first, value_hash="b")]
            tx.record_verdicts([*said, verdict(first, model="another")], NOW)
        with known.read() as tx:
            assert tx.facts_of([unknown, first, second]) == [tx.fact(second), tx.fact(first)]
            assert tx.facts_of([]) == []
            model = said[0].key.model_fingerprint
            assert tx.verdicts_on([unknown, first], model) == {one.key: one for one in said}
            assert tx.verdicts_on([], model) == {}

    def test_quarantine_holds_the_value_that_was_tried(self, known: Ledger) -> None:
        key = fact_key("Q145")
        with known.write() as tx:
            tx.put_facts([fact()])
            tx.set_quarantine(key, "v", "drifts", NOW)
            tx.set_quarantine(key, "w", "drifts again", NOW)
        with known.read() as tx:
            assert tx.quarantine() == {key: Quarantined(value_hash="w", reason="drifts again")}
            assert tx.quarantine([fact_key("Q30"), key]) == tx.quarantine()
            assert tx.quarantine([fact_key("Q30")]) == tx.quarantine([]) == {}
        with known.write() as tx:
            tx.clear_quarantine(key)
            tx.clear_quarantine(key)
            assert tx.quarantine() == {}

    def test_a_consequence_can_be_in_quarantine_though_it_is_no_fact_of_the_ledger(self, known: Ledger) -> None:
        key = fact_key("Q145", "P35/P26")
        with known.write() as tx:
            tx.set_quarantine(key, "v", "drifts", NOW)
        with known.read() as tx:
            assert tx.quarantine() == {key: Quarantined(value_hash="v", reason="drifts")}

    def test_a_fact_has_one_decision_until_it_is_withdrawn(self, ledger: Ledger) -> None:
        put(ledger, record())
        key = fact_key("Q145")
        pin = Decision(key=key, kind=DecisionKind.PIN, reason="so it is", actor="cli:alice", at=NOW)
        out = Decision(key=key, kind=DecisionKind.EXCLUDE, reason="", actor="cli:bob", at=NOW + HOUR)
        with ledger.write() as tx:
            tx.put_facts([fact()])
            tx.set_decision(pin)
            assert tx.decisions() == {key: pin}
            tx.set_decision(out)
        with ledger.read() as tx:
            assert tx.decisions() == {key: out}
        with ledger.write() as tx:
            tx.clear_decision(key)
            assert tx.decisions() == {}

    def test_a_decision_needs_a_fact(self, ledger: Ledger) -> None:
        key = fact_key("Q999")
        pin = Decision(key=key, kind=DecisionKind.PIN, reason="", actor="cli:alice", at=NOW)
        with pytest.raises(StoreError), ledger.write() as tx:
            tx.set_decision(pin)
