"""What every ledger must do with plans, versions and evaluations."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.canonical import content_hash
from kbsync.domain.errors import DataError, NotFound
from kbsync.domain.version import VersionState
from kbsync.ports import Ledger, RecordedPlan, StoredPlan
from kbsync.ports.ledger.versions import KEPT_PLANS
from kbsync.testing.conformance.ledgers.support import add_version, fact_key
from kbsync.testing.samples import HOUR, NOW, edit_plan, evaluation


class VersionConformance:
    """Plans are known by their content, versions by number and build hash."""

    def test_plans_are_known_by_their_content(self, ledger: Ledger) -> None:
        plan = edit_plan("Ada", "Bob")
        with ledger.write() as tx:
            assert tx.newest_plan() is None
            assert tx.record_plan(plan, NOW) == RecordedPlan(plan_hash=content_hash(plan), is_new=True)
            again = tx.record_plan(edit_plan("Ada", "Bob"), NOW + HOUR)
            assert again == RecordedPlan(plan_hash=content_hash(plan), is_new=False)
        with ledger.read() as tx:
            assert tx.plan(content_hash(plan)) == plan
            assert tx.plan("0" * 64) is None

    def test_the_plan_recorded_last_is_the_newest_even_if_it_was_known(self, ledger: Ledger) -> None:
        with ledger.write() as tx:
            first = tx.record_plan(edit_plan("Ada"), NOW).plan_hash
            second = tx.record_plan(edit_plan("Bob"), NOW).plan_hash
            assert tx.newest_plan() == StoredPlan(plan_hash=second, plan=edit_plan("Bob"))
            tx.record_plan(edit_plan("Ada"), NOW)
            assert tx.newest_plan() == StoredPlan(plan_hash=first, plan=edit_plan("Ada"))

    def test_plans_in_numbers_end_with_the_newest(self, ledger: Ledger) -> None:
        first, second = edit_plan("Ada", "Bob"), edit_plan("Cleo")
        with ledger.write() as tx:
            for plan in (first, second, first):
                tx.record_plan(plan, NOW)
        with ledger.read() as tx:
            assert list(tx.plan_counts().items()) == [
                (content_hash(second), second.counts),
                (content_hash(first), first.counts),
            ]

    def test_of_plans_that_nothing_is_built_from_the_newest_stay(self, ledger: Ledger) -> None:
        built = edit_plan("Ada", "Bob")
        add_version(ledger, "Ada", "Bob")
        plans = [edit_plan(f"Name {number}") for number in range(3 * KEPT_PLANS)]
        with ledger.write() as tx:
            for plan in plans:
                tx.record_plan(plan, NOW)
        hashes = [content_hash(plan) for plan in plans]
        with ledger.read() as tx:
            assert [known for known in hashes if tx.plan(known)] == hashes[-KEPT_PLANS:]
            assert list(tx.plan_counts()) == [content_hash(built), *hashes[-KEPT_PLANS:]]
            assert tx.plan(content_hash(built)) == built
            assert set(tx.plan_entries(fact_key("Q1"))) == {content_hash(built), *hashes[-KEPT_PLANS:]}
        with ledger.write() as tx:
            assert tx.record_plan(plans[0], NOW).is_new, "it is recorded anew"
        for _ in range(2 * KEPT_PLANS):
            with ledger.write() as tx:
                tx.record_plan(built, NOW)
                tx.record_plan(plans[0], NOW)
        with ledger.read() as tx:
            assert list(tx.plan_counts()) == [content_hash(built), hashes[0]], "recordings do not grow either"

    def test_versions_are_numbered_intents_with_their_plan(self, ledger: Ledger) -> None:
        first, second = add_version(ledger, "Ada", built=True), add_version(ledger, "Bob", predecessor=1)
        assert (first.number, first.predecessor, first.state) == (1, 0, VersionState.BUILDING)
        assert (first.version_hash, first.created_at) == (None, NOW)
        assert (second.number, second.predecessor) == (2, 1)
        assert second.plan_hash == content_hash(edit_plan("Bob", predecessor=1))
        with ledger.read() as tx:
            assert [v.number for v in tx.versions()] == [1, 2]
            assert tx.version(2) == second == tx.version_by_build(edit_plan("Bob").build_hash)
            assert tx.version(3) is tx.version_by_build("nothing") is None

    def test_one_build_has_one_version(self, ledger: Ledger) -> None:
        first = add_version(ledger, "Ada", built=True)
        add_version(ledger, "Bob")
        again = add_version(ledger, "Ada", predecessor=2)
        assert again.number == first.number
        with ledger.read() as tx:
            assert len(tx.versions()) == 2

    def test_versions_need_a_recorded_plan_and_a_known_predecessor(self, ledger: Ledger) -> None:
        plan = edit_plan("Ada")
        with pytest.raises(NotFound), ledger.write() as tx:
            tx.add_version(content_hash(plan), plan, NOW)
        with pytest.raises(NotFound):
            add_version(ledger, "Ada", predecessor=4)

    def test_versions_get_their_hash_once_with_the_weights(self, ledger: Ledger) -> None:
        number = add_version(ledger, "Ada").number
        with pytest.raises(DataError), ledger.write() as tx:
            tx.set_version_state(number, VersionState.REFUSED)
        with ledger.write() as tx:
            tx.set_version_state(number, VersionState.CANDIDATE, version_hash="h")
            tx.set_version_state(number, VersionState.CANDIDATE, version_hash="h")
            tx.set_version_state(number, VersionState.PROMOTED)
            stored = tx.version(number)
            assert stored is not None
            assert (stored.version_hash, stored.state) == ("h", VersionState.PROMOTED)
        with pytest.raises(DataError), ledger.write() as tx:
            tx.set_version_state(number, VersionState.CANDIDATE, version_hash="another")
        with pytest.raises(DataError), ledger.write() as tx:
            tx.set_version_state(number, VersionState.BUILDING)

    def test_unknown_versions_are_not_found(self, ledger: Ledger) -> None:
        with pytest.raises(NotFound), ledger.write() as tx:
            tx.set_version_state(9, VersionState.PROMOTED)
        with pytest.raises(NotFound), ledger.write() as tx:
            tx.record_evaluation(evaluation(9))

    def test_the_newest_evaluation_counts(self, ledger: Ledger) -> None:
        number = add_version(ledger, "Ada", built=True).number
        with ledger.write() as tx:
            assert tx.evaluation(number) is None
            tx.record_evaluation(evaluation(number, passed=False))
            tx.record_evaluation(evaluation(number, at=NOW + HOUR))
        with ledger.read() as tx:
            assert tx.evaluation(number) == evaluation(number, at=NOW + HOUR)

    def test_one_fact_is_found_in_plans_and_evaluations_without_reading_them(self, ledger: Ledger) -> None:
        first, second = edit_plan("Ada", "Bob"), edit_plan("Cleo", predecessor=1)
        for plan in (first, second):
            add_version(ledger, *(r.target for r in plan.requests), predecessor=plan.predecessor, built=True)
        with ledger.write() as tx:
            tx.record_evaluation(evaluation(1))
            tx.record_evaluation(replace(evaluation(1), outcomes=()))
            tx.record_evaluation(evaluation(2))
            tx.record_plan(edit_plan(), NOW)
        key = fact_key("Q1")
        with ledger.read() as tx:
            assert tx.plan_entries(key) == {content_hash(p): p.entries[0] for p in (first, second)}
            assert tx.plan_entries(fact_key("Q2")) == {content_hash(first): first.entries[1]}
            held = [(plan, counts.held) for plan, counts in tx.plan_counts().items()]
            assert held == [(content_hash(first), 2), (content_hash(second), 1), (content_hash(edit_plan()), 0)]
            assert tx.outcomes(key, "edited") == {2: evaluation(2).outcomes[0]}, "the newest evaluation counts"
            assert tx.outcomes(key, "neighbour") == tx.outcomes(fact_key("Q2"), "edited") == {}
            assert tx.evaluation(2) == evaluation(2)
            assert tx.evaluation_summary(2) == replace(evaluation(2), outcomes=())
            assert tx.evaluation_summary(3) is tx.evaluation(3) is None

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_figures_that_are_no_numbers_are_refused(self, ledger: Ledger, value: float) -> None:
        number = add_version(ledger, "Ada", built=True).number
        with pytest.raises(DataError), ledger.write() as tx:
            tx.record_evaluation(evaluation(number, value=value))
