"""What every ledger must do: statements, labels, facts, verdicts, plans, versions."""
# ruff: noqa: F811 (pytest hands imported fixtures to arguments of the same name)

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from kbsync.domain.canonical import content_hash
from kbsync.domain.decision import Decision, DecisionKind
from kbsync.domain.errors import DataError, NotFound, StoreError
from kbsync.domain.fact import FactKey
from kbsync.domain.statement import Labels, Rank, Snak, TimePoint, Value, ValueKind
from kbsync.domain.verdict import VerdictKind
from kbsync.domain.version import VersionState
from kbsync.ports import Ledger, PullCounts, Quarantined, RecordedPlan, StoredPlan
from tests.support.ledger_builders import (
    CAPITAL,
    HEAD_OF_STATE,
    HOUR,
    NOW,
    edit_plan,
    evaluation,
    fact,
    record,
    state,
    statement,
    verdict,
)
from tests.support.ledger_fixtures import ledger, ledger_url, postgres, templates  # noqa: F401

BOTH = [HEAD_OF_STATE, CAPITAL]


def put(ledger: Ledger, *records, properties=BOTH, at=NOW) -> PullCounts:
    with ledger.write() as tx:
        return tx.record_items(records, properties, at)


def live(ledger: Ledger, subject="Q145", property=HEAD_OF_STATE):
    with ledger.read() as tx:
        return tx.statements(subject, property)


def history(ledger: Ledger, subject="Q145", property=HEAD_OF_STATE):
    with ledger.read() as tx:
        return tx.statement_history(subject, property)


class TestTransactions:
    def test_commits_at_the_end_of_the_block_and_reads_its_own_writes(self, ledger):
        with ledger.write() as tx:
            tx.set_watermark("wikidata", NOW)
            assert tx.watermark("wikidata") == NOW
        with ledger.read() as tx:
            assert tx.watermark("wikidata") == NOW
            assert tx.watermark("another") is None

    @pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
    def test_rolls_back_on_any_exception(self, ledger, error):
        with pytest.raises(error), ledger.write() as tx:
            tx.record_items([record(statement(1))], BOTH, NOW)
            tx.append_audit("pull", "test", {}, NOW)
            tx.set_watermark("wikidata", NOW)
            raise error
        with ledger.read() as tx:
            assert tx.watermark("wikidata") is None
            assert tx.heads(["Q145"]) == {}
            assert tx.statement_history("Q145", HEAD_OF_STATE) == []
            assert tx.audit() == []

    def test_a_reader_sees_one_moment_and_keeps_nobody_waiting(self, ledger):
        with ledger.write() as tx:
            tx.set_watermark("wikidata", NOW)
        with ledger.read() as reader:
            assert reader.watermark("wikidata") == NOW
            with ledger.write() as tx:
                tx.set_watermark("wikidata", NOW + HOUR)
            assert reader.watermark("wikidata") == NOW
        with ledger.read() as reader:
            assert reader.watermark("wikidata") == NOW + HOUR

    def test_a_reader_does_not_wait_for_a_writer(self, ledger):
        with ledger.write() as tx:
            tx.set_watermark("wikidata", NOW)
            with ledger.read() as reader:
                assert reader.watermark("wikidata") is None


class TestTimes:
    @pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5, minutes=30))])
    def test_come_back_in_utc_to_the_microsecond(self, ledger, zone):
        with ledger.write() as tx:
            tx.set_watermark("wikidata", NOW.astimezone(zone))
        with ledger.read() as tx:
            found = tx.watermark("wikidata")
        assert found == NOW
        assert found.utcoffset() == timedelta(0)

    def test_without_a_zone_are_refused(self, ledger):
        with pytest.raises(DataError, match="no time zone"), ledger.write() as tx:
            tx.set_watermark("wikidata", datetime(2026, 1, 1))


class TestStatements:
    def test_appear_change_and_disappear_with_history(self, ledger):
        first, second = statement(1, "Q9682"), statement(2, "Q43274")
        assert put(ledger, record(first)) == PullCounts(added=1)
        ended = replace(first, end=TimePoint("+2022-09-08T00:00:00Z"))
        assert put(ledger, record(ended, second, revision=2), at=NOW + HOUR) == PullCounts(added=1, changed=1)
        assert live(ledger) == [ended, second]
        assert put(ledger, record(second, revision=3), at=NOW + 2 * HOUR) == PullCounts(removed=1, unchanged=1)
        assert live(ledger) == [second]
        changes = history(ledger)
        assert [(c.statement_id, c.revision, c.seen_at, c.before, c.after) for c in changes] == [
            ("Q145$1", 1, NOW, None, first),
            ("Q145$1", 2, NOW + HOUR, first, ended),
            ("Q145$2", 2, NOW + HOUR, None, second),
            ("Q145$1", 3, NOW + 2 * HOUR, ended, None),
        ]
        assert [c.seq for c in changes] == sorted({c.seq for c in changes})

    def test_recorded_again_change_nothing(self, ledger):
        again = record(statement(1), statement(2, property="P36"))
        put(ledger, again)
        assert put(ledger, again, at=NOW + HOUR) == PullCounts(unchanged=2)
        assert len(history(ledger)) == 1

    def test_an_older_revision_is_ignored(self, ledger):
        put(ledger, record(statement(1, "Q43274"), revision=7))
        assert put(ledger, record(statement(1, "Q9682"), statement(2), revision=6)) == PullCounts()
        assert live(ledger) == [statement(1, "Q43274")]
        with ledger.read() as tx:
            assert tx.heads(["Q145"])["Q145"].revision == 7

    def test_of_properties_not_asked_for_stay(self, ledger):
        capital = statement(2, "Q84", property="P36")
        put(ledger, record(statement(1), capital))
        assert put(ledger, record(revision=2), properties=[HEAD_OF_STATE]) == PullCounts(removed=1)
        assert live(ledger, property=CAPITAL) == [capital]

    def test_of_a_newly_watched_property_arrive_with_the_same_revision(self, ledger):
        put(ledger, record(statement(1)), properties=[HEAD_OF_STATE])
        both = record(statement(1), statement(2, "Q84", property="P36"))
        assert put(ledger, both) == PullCounts(added=1, unchanged=1)

    def test_of_one_item_twice_in_a_call_are_taken_in_order(self, ledger):
        counts = put(ledger, record(statement(1, "Q1")), record(statement(1, "Q2"), revision=2))
        assert counts == PullCounts(added=1, changed=1)
        assert live(ledger) == [statement(1, "Q2")]

    @pytest.mark.parametrize("foreign", [statement(1, subject="Q30"), statement(1, property="P6")])
    def test_that_do_not_belong_to_the_record_are_refused(self, ledger, foreign):
        with pytest.raises(DataError, match=r"P35, P36"):
            put(ledger, record(foreign))
        with ledger.read() as tx:
            assert tx.heads(["Q145", "Q30"]) == {}

    @pytest.mark.parametrize(
        "odd",
        [
            statement(1, None, snak=Snak.SOMEVALUE),
            statement(1, None, snak=Snak.NOVALUE, rank=Rank.DEPRECATED),
            replace(statement(1), value=Value(ValueKind.TIME, "-0044-03-15T00:00:00Z", "11")),
            replace(statement(1), value=Value(ValueKind.MONOLINGUAL, "it's “naïve” {}\n東京", "ja")),
            replace(statement(1), value=Value(ValueKind.STRING, "")),
            replace(statement(1), value=Value(ValueKind.QUANTITY, "+8849", "Q11573"), references=3),
            statement(
                1,
                rank=Rank.PREFERRED,
                start=TimePoint("+2022-00-00T00:00:00Z", 9),
                end=TimePoint("-13798000000-00-00", 3),
                point_in_time=TimePoint("+1969-07-20T00:00:00Z", 14),
            ),
        ],
        ids=["somevalue", "novalue", "time", "text", "empty", "quantity", "qualifiers"],
    )
    def test_of_every_kind_come_back_as_they_were(self, ledger, odd):
        put(ledger, record(odd))
        assert live(ledger) == [odd]
        assert history(ledger)[0].after == odd

    def test_of_many_subjects_at_once(self, ledger):
        subjects = [f"Q{n}" for n in range(1, 1203)]
        put(ledger, *(record(statement(2, subject=s), statement(1, subject=s), subject=s) for s in subjects[:-1]))
        with ledger.read() as tx:
            found = tx.statements_of(HEAD_OF_STATE, subjects)
            assert set(found) == set(subjects[:-1])
            assert found["Q7"] == [statement(1, subject="Q7"), statement(2, subject="Q7")]
            assert set(tx.heads(subjects)) == set(tx.labels(subjects)) == set(subjects[:-1])
            assert tx.statements_of(CAPITAL, subjects) == {}

    def test_of_more_subjects_than_a_statement_has_room_for_variables(self, ledger):
        put(ledger, record(statement(1)))
        subjects = ["Q145", *(f"Q{n}" for n in range(1000, 70_000))]
        with ledger.read() as tx:
            assert set(tx.statements_of(HEAD_OF_STATE, subjects)) == {"Q145"}
            assert set(tx.heads(subjects)) == set(tx.labels(subjects)) == {"Q145"}


class TestItems:
    def test_deleted_ones_lose_their_statements_and_keep_the_rest(self, ledger):
        put(ledger, record(statement(1), statement(2, property="P36"), revision=5))
        gone = record(revision=0, deleted=True, modified=None)
        gone = replace(gone, labels=Labels(item="Q145", label=None))
        assert put(ledger, gone, properties=[HEAD_OF_STATE], at=NOW + HOUR) == PullCounts(removed=2)
        assert live(ledger) == live(ledger, property=CAPITAL) == []
        assert [(c.revision, c.after) for c in history(ledger)] == [(5, statement(1)), (5, None)]
        with ledger.read() as tx:
            head = tx.heads(["Q145"])["Q145"]
            assert (head.deleted, head.revision, head.modified) == (True, 5, None)
            assert tx.labels(["Q145"])["Q145"].label == "label of Q145"

    def test_deleted_ones_come_back_when_they_are_restored(self, ledger):
        put(ledger, record(statement(1), revision=5))
        put(ledger, record(revision=0, deleted=True))
        assert put(ledger, record(statement(1), revision=5)) == PullCounts(added=1)
        with ledger.read() as tx:
            assert not tx.heads(["Q145"])["Q145"].deleted
        assert len(history(ledger)) == 3

    def test_redirects_lose_their_statements_and_say_where_they_lead(self, ledger):
        put(ledger, record(statement(1)))
        assert put(ledger, record(revision=2, redirect_to="Q30")) == PullCounts(removed=1)
        assert live(ledger) == []
        assert len(history(ledger)) == 2
        with ledger.read() as tx:
            assert tx.heads(["Q145"])["Q145"].redirect_to == "Q30"

    def test_unknown_ones_are_left_out(self, ledger):
        with ledger.read() as tx:
            assert tx.heads(["Q1"]) == tx.labels(["Q1"]) == {}
            assert tx.statements("Q1", CAPITAL) == tx.statement_history("Q1", CAPITAL) == []

    def test_labels_are_replaced(self, ledger):
        entries = [Labels(item="Q1", label="one", aliases=("eins", "uno")), Labels(item="Q2", label=None)]
        with ledger.write() as tx:
            tx.record_labels(entries)
            assert tx.labels(["Q1", "Q2"]) == {"Q1": entries[0], "Q2": entries[1]}
            tx.record_labels([replace(entries[0], aliases=())])
            assert tx.labels(["Q1"])["Q1"].aliases == ()


class TestFacts:
    @pytest.fixture(autouse=True)
    def items(self, ledger):
        put(ledger, *(record(subject=subject) for subject in ("Q9", "Q10", "Q145")))

    def test_come_back_sorted_and_by_property(self, ledger):
        facts = [fact("Q9"), fact("Q10", believed=True), fact("Q10", "P36"), fact("Q145")]
        with ledger.write() as tx:
            tx.put_facts(facts)
        with ledger.read() as tx:
            assert tx.facts() == sorted(facts, key=lambda record: record.key)
            assert [f.key.subject for f in tx.facts(HEAD_OF_STATE)] == ["Q10", "Q145", "Q9"]
            assert tx.fact(FactKey("Q10", "P35")) == facts[1]
            assert tx.fact(FactKey("Q10", "P999")) is None

    def test_are_replaced(self, ledger):
        newer = replace(fact(), observed=state("Q1", "Q2", revision=9), believed=state(), believed_at=NOW)
        with ledger.write() as tx:
            tx.put_facts([fact()])
            tx.put_facts([newer])
            assert tx.facts() == [newer]
            assert tx.fact(newer.key).observed.since.utcoffset() == timedelta(0)

    def test_every_belief_is_kept_once(self, ledger):
        first, other = fact(believed=True), fact("Q9", believed=True)
        seen_again = replace(first, observed=state("Q1", revision=9))
        nothing = replace(first, believed=state(revision=10), believed_at=NOW)
        with ledger.write() as tx:
            tx.put_facts([fact(), other])
            assert tx.beliefs(first.key) == []
        for record_ in (first, seen_again, nothing, nothing, replace(first, believed_at=NOW + HOUR)):
            with ledger.write() as tx:
                tx.put_facts([record_])
        with ledger.read() as tx:
            told = [(b.at, [v.text for v in b.state.values], b.state.revision) for b in tx.beliefs(first.key)]
            assert [b.state for b in tx.beliefs(other.key)] == [other.believed]
        assert told == [
            (NOW - HOUR, ["Q9682"], first.believed.revision),
            (NOW, [], 10),
            (NOW + HOUR, ["Q9682"], first.believed.revision),
        ]

    def test_a_belief_that_was_taken_back_with_its_transaction_never_was(self, ledger):
        with pytest.raises(RuntimeError), ledger.write() as tx:
            tx.put_facts([fact(believed=True)])
            raise RuntimeError
        with ledger.read() as tx:
            assert tx.beliefs(fact().key) == []

    def test_verdicts_are_kept_once_per_key(self, ledger):
        key = FactKey("Q145", "P35")
        first = verdict(key)
        others = [verdict(key, value_hash="w"), verdict(key, model="other")]
        with ledger.write() as tx:
            tx.put_facts([fact()])
            assert tx.record_verdicts([first], NOW) == 1
            assert tx.record_verdicts([replace(first, kind=VerdictKind.CURRENT), *others], NOW) == 2
            assert tx.record_verdicts([], NOW) == 0
        with ledger.read() as tx:
            assert tx.verdicts("model") == {first.key: first, others[0].key: others[0]}
            assert tx.verdicts("other") == {others[1].key: others[1]}
            assert tx.verdicts("unknown") == {}

    def test_many_verdicts_are_counted_rightly(self, ledger):
        key = FactKey("Q145", "P35")
        with ledger.write() as tx:
            tx.put_facts([fact()])
            tx.record_verdicts([verdict(key, value_hash=str(n)) for n in range(700)], NOW)
            assert tx.record_verdicts([verdict(key, value_hash=str(n)) for n in range(2500)], NOW) == 1800

    def test_quarantine_holds_the_value_that_was_tried(self, ledger):
        key = FactKey("Q145", "P35")
        with ledger.write() as tx:
            tx.put_facts([fact()])
            tx.set_quarantine(key, "v", "drifts", NOW)
            tx.set_quarantine(key, "w", "drifts again", NOW)
        with ledger.read() as tx:
            assert tx.quarantine() == {key: Quarantined(value_hash="w", reason="drifts again")}
        with ledger.write() as tx:
            tx.clear_quarantine(key)
            tx.clear_quarantine(key)
            assert tx.quarantine() == {}


class TestPlans:
    def test_are_known_by_their_content(self, ledger):
        plan = edit_plan("Ada", "Bob")
        with ledger.write() as tx:
            assert tx.newest_plan() is None
            assert tx.record_plan(plan, NOW) == RecordedPlan(plan_hash=content_hash(plan), is_new=True)
            again = tx.record_plan(edit_plan("Ada", "Bob"), NOW + HOUR)
            assert again == RecordedPlan(plan_hash=content_hash(plan), is_new=False)
        with ledger.read() as tx:
            assert tx.plan(content_hash(plan)) == plan
            assert tx.plan("0" * 64) is None

    def test_the_last_recorded_is_the_newest_even_if_it_was_known(self, ledger):
        with ledger.write() as tx:
            first = tx.record_plan(edit_plan("Ada"), NOW).plan_hash
            second = tx.record_plan(edit_plan("Bob"), NOW).plan_hash
            assert tx.newest_plan() == StoredPlan(plan_hash=second, plan=edit_plan("Bob"))
            tx.record_plan(edit_plan("Ada"), NOW)
            assert tx.newest_plan() == StoredPlan(plan_hash=first, plan=edit_plan("Ada"))


def add_version(ledger: Ledger, *targets: str, predecessor: int = 0, built: bool = False):
    plan = edit_plan(*targets, predecessor=predecessor)
    with ledger.write() as tx:
        version = tx.add_version(tx.record_plan(plan, NOW).plan_hash, plan, NOW)
        if built:
            tx.set_version_state(version.number, VersionState.CANDIDATE, version_hash=f"hash of {version.number}")
    return version


class TestVersions:
    def test_are_numbered_intents_with_their_plan(self, ledger):
        first, second = add_version(ledger, "Ada", built=True), add_version(ledger, "Bob", predecessor=1)
        assert (first.number, first.predecessor, first.state) == (1, 0, VersionState.BUILDING)
        assert (first.version_hash, first.created_at) == (None, NOW)
        assert (second.number, second.predecessor) == (2, 1)
        assert second.plan_hash == content_hash(edit_plan("Bob", predecessor=1))
        with ledger.read() as tx:
            assert [v.number for v in tx.versions()] == [1, 2]
            assert tx.version(2) == second == tx.version_by_build(edit_plan("Bob").build_hash)
            assert tx.version(3) is tx.version_by_build("nothing") is None

    def test_one_build_has_one_version(self, ledger):
        first = add_version(ledger, "Ada", built=True)
        add_version(ledger, "Bob")
        again = add_version(ledger, "Ada", predecessor=2)
        assert again.number == first.number
        with ledger.read() as tx:
            assert len(tx.versions()) == 2

    def test_need_a_recorded_plan_and_a_known_predecessor(self, ledger):
        plan = edit_plan("Ada")
        with pytest.raises(NotFound, match="no plan"), ledger.write() as tx:
            tx.add_version(content_hash(plan), plan, NOW)
        with pytest.raises(NotFound, match="no version 4"):
            add_version(ledger, "Ada", predecessor=4)

    def test_get_their_hash_once_with_the_weights(self, ledger):
        number = add_version(ledger, "Ada").number
        with pytest.raises(DataError, match="no stored weights"), ledger.write() as tx:
            tx.set_version_state(number, VersionState.REFUSED)
        with ledger.write() as tx:
            tx.set_version_state(number, VersionState.CANDIDATE, version_hash="h")
            tx.set_version_state(number, VersionState.CANDIDATE, version_hash="h")
            tx.set_version_state(number, VersionState.PROMOTED)
            assert (tx.version(number).version_hash, tx.version(number).state) == ("h", VersionState.PROMOTED)
        with pytest.raises(DataError, match="can't replace"), ledger.write() as tx:
            tx.set_version_state(number, VersionState.CANDIDATE, version_hash="another")
        with pytest.raises(DataError, match="'building'"), ledger.write() as tx:
            tx.set_version_state(number, VersionState.BUILDING)

    def test_unknown_ones_are_not_found(self, ledger):
        for change in (
            lambda tx: tx.set_version_state(9, VersionState.PROMOTED),
            lambda tx: tx.record_evaluation(evaluation(9)),
        ):
            with pytest.raises(NotFound, match="no version 9"), ledger.write() as tx:
                change(tx)

    def test_the_newest_evaluation_counts(self, ledger):
        number = add_version(ledger, "Ada", built=True).number
        with ledger.write() as tx:
            assert tx.evaluation(number) is None
            tx.record_evaluation(evaluation(number, passed=False))
            tx.record_evaluation(evaluation(number, at=NOW + HOUR))
        with ledger.read() as tx:
            assert tx.evaluation(number) == evaluation(number, at=NOW + HOUR)

    def test_one_fact_is_found_in_plans_and_evaluations_without_reading_them(self, ledger):
        first, second = edit_plan("Ada", "Bob"), edit_plan("Cleo", predecessor=1)
        for plan in (first, second):
            add_version(ledger, *(r.target for r in plan.requests), predecessor=plan.predecessor, built=True)
        with ledger.write() as tx:
            tx.record_evaluation(evaluation(1))
            tx.record_evaluation(replace(evaluation(1), outcomes=()))
            tx.record_evaluation(evaluation(2))
            tx.record_plan(edit_plan(), NOW)
        key = FactKey("Q1", HEAD_OF_STATE)
        with ledger.read() as tx:
            assert tx.plan_entries(key) == {content_hash(p): p.entries[0] for p in (first, second)}
            assert tx.plan_entries(FactKey("Q2", HEAD_OF_STATE)) == {content_hash(first): first.entries[1]}
            assert tx.request_counts() == {content_hash(first): 2, content_hash(second): 1}
            assert tx.outcomes(key, "edited") == {2: evaluation(2).outcomes[0]}, "the newest evaluation counts"
            assert tx.outcomes(key, "neighbour") == tx.outcomes(FactKey("Q2", HEAD_OF_STATE), "edited") == {}
            assert tx.evaluation(2) == evaluation(2)
            assert tx.evaluation_summary(2) == replace(evaluation(2), outcomes=())
            assert tx.evaluation_summary(3) is tx.evaluation(3) is None

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_figures_that_are_no_numbers_are_refused(self, ledger, value):
        number = add_version(ledger, "Ada", built=True).number
        with pytest.raises(DataError, match="Evaluation"), ledger.write() as tx:
            tx.record_evaluation(evaluation(number, value=value))


class TestMembersAndDecisions:
    def test_members_are_replaced_as_a_whole(self, ledger):
        with ledger.write() as tx:
            tx.set_members(CAPITAL, ["Q3", "Q1", "Q1"], NOW)
            tx.set_members(HEAD_OF_STATE, ["Q9"], NOW)
            tx.set_members(CAPITAL, ["Q2", "Q1"], NOW + HOUR)
        with ledger.read() as tx:
            assert (tx.members(CAPITAL), tx.members(HEAD_OF_STATE)) == (["Q1", "Q2"], ["Q9"])
        with ledger.write() as tx:
            tx.set_members(CAPITAL, [], NOW)
            assert (tx.members(CAPITAL), tx.members(HEAD_OF_STATE)) == ([], ["Q9"])

    def test_a_fact_has_one_decision_until_it_is_withdrawn(self, ledger):
        put(ledger, record())
        key = FactKey("Q145", HEAD_OF_STATE)
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

    def test_a_decision_needs_a_fact(self, ledger):
        key = FactKey("Q999", HEAD_OF_STATE)
        pin = Decision(key=key, kind=DecisionKind.PIN, reason="", actor="cli:alice", at=NOW)
        with pytest.raises(StoreError, match=r"(?i)foreign key"), ledger.write() as tx:
            tx.set_decision(pin)
