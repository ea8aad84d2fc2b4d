"""What every ledger must do with items, their statements and labels."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kbsync.domain.errors import DataError
from kbsync.domain.name_trust import PendingNames
from kbsync.domain.standing import Standing
from kbsync.domain.statement import ItemId, Labels, Rank, Snak, Statement, TimePoint, Value, ValueKind
from kbsync.ports import Ledger, PullCounts
from kbsync.testing.conformance.ledgers.support import Q1, Q2, Q3, Q7, Q9, Q30, UK, history, live, put
from kbsync.testing.samples import CAPITAL, HEAD_OF_STATE, HOUR, NOW, record, statement


class StatementConformance:
    """What the source said comes back, with the history of every change."""

    def test_statements_appear_change_and_disappear_with_history(self, ledger: Ledger) -> None:
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

    def test_statements_recorded_again_change_nothing(self, ledger: Ledger) -> None:
        again = record(statement(1), statement(2, property="P36"))
        put(ledger, again)
        assert put(ledger, again, at=NOW + HOUR) == PullCounts(unchanged=2)
        assert len(history(ledger)) == 1

    def test_an_older_revision_is_ignored(self, ledger: Ledger) -> None:
        put(ledger, record(statement(1, "Q43274"), revision=7))
        assert put(ledger, record(statement(1, "Q9682"), statement(2), revision=6)) == PullCounts()
        assert live(ledger) == [statement(1, "Q43274")]
        with ledger.read() as tx:
            assert tx.heads([UK])[UK].revision == 7

    def test_statements_of_properties_not_asked_for_stay(self, ledger: Ledger) -> None:
        capital = statement(2, "Q84", property="P36")
        put(ledger, record(statement(1), capital))
        assert put(ledger, record(revision=2), properties=[HEAD_OF_STATE]) == PullCounts(removed=1)
        assert live(ledger, property=CAPITAL) == [capital]

    def test_statements_of_a_newly_watched_property_arrive_with_the_same_revision(self, ledger: Ledger) -> None:
        put(ledger, record(statement(1)), properties=[HEAD_OF_STATE])
        both = record(statement(1), statement(2, "Q84", property="P36"))
        assert put(ledger, both) == PullCounts(added=1, unchanged=1)

    def test_statements_of_one_item_twice_in_a_call_are_taken_in_order(self, ledger: Ledger) -> None:
        counts = put(ledger, record(statement(1, "Q1")), record(statement(1, "Q2"), revision=2))
        assert counts == PullCounts(added=1, changed=1)
        assert live(ledger) == [statement(1, "Q2")]

    @pytest.mark.parametrize("foreign", [statement(1, subject="Q30"), statement(1, property="P6")])
    def test_statements_that_do_not_belong_to_the_record_are_refused(self, ledger: Ledger, foreign: Statement) -> None:
        with pytest.raises(DataError):
            put(ledger, record(foreign))
        with ledger.read() as tx:
            assert tx.heads([UK, Q30]) == {}

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
    def test_statements_of_every_kind_come_back_as_they_were(self, ledger: Ledger, odd: Statement) -> None:
        put(ledger, record(odd))
        assert live(ledger) == [odd]
        assert history(ledger)[0].after == odd

    def test_statements_of_many_subjects_at_once(self, ledger: Ledger) -> None:
        subjects = [ItemId(f"Q{n}") for n in range(1, 1203)]
        put(ledger, *(record(statement(2, subject=s), statement(1, subject=s), subject=s) for s in subjects[:-1]))
        with ledger.read() as tx:
            found = tx.statements_of(HEAD_OF_STATE, subjects)
            assert set(found) == set(subjects[:-1])
            assert found[Q7] == [statement(1, subject="Q7"), statement(2, subject="Q7")]
            assert set(tx.heads(subjects)) == set(subjects[:-1])
            assert tx.statements_of(CAPITAL, subjects) == {}

    def test_statements_of_more_subjects_than_a_database_takes_variables(self, ledger: Ledger) -> None:
        put(ledger, record(statement(1)))
        subjects = [UK, *(ItemId(f"Q{n}") for n in range(1000, 70_000))]
        with ledger.read() as tx:
            assert set(tx.statements_of(HEAD_OF_STATE, subjects)) == {"Q145"}
            assert set(tx.heads(subjects)) == {"Q145"}

    def test_deleted_items_lose_their_statements_and_keep_the_rest(self, ledger: Ledger) -> None:
        put(ledger, record(statement(1), statement(2, property="P36"), revision=5))
        with ledger.write() as tx:
            tx.record_labels([record().labels])
        gone = record(revision=0, deleted=True, modified=None)
        gone = replace(gone, labels=Labels(item=UK, label=None))
        assert put(ledger, gone, properties=[HEAD_OF_STATE], at=NOW + HOUR) == PullCounts(removed=2)
        assert live(ledger) == live(ledger, property=CAPITAL) == []
        assert [(c.revision, c.after) for c in history(ledger)] == [(5, statement(1)), (5, None)]
        with ledger.read() as tx:
            head = tx.heads([UK])[UK]
            assert (head.deleted, head.revision, head.modified) == (True, 5, None)
            assert tx.labels([UK])[UK].label == "label of Q145"

    def test_deleted_items_come_back_when_they_are_restored(self, ledger: Ledger) -> None:
        put(ledger, record(statement(1), revision=5))
        put(ledger, record(revision=0, deleted=True))
        assert put(ledger, record(statement(1), revision=5)) == PullCounts(added=1)
        with ledger.read() as tx:
            assert not tx.heads([UK])[UK].deleted
        assert len(history(ledger)) == 3

    def test_redirects_lose_their_statements_and_say_where_they_lead(self, ledger: Ledger) -> None:
        put(ledger, record(statement(1)))
        assert put(ledger, record(revision=2, redirect_to="Q30")) == PullCounts(removed=1)
        assert live(ledger) == []
        assert len(history(ledger)) == 2
        with ledger.read() as tx:
            assert tx.heads([UK])[UK].redirect_to == "Q30"

    def test_unknown_items_are_left_out(self, ledger: Ledger) -> None:
        with ledger.read() as tx:
            assert tx.heads([Q1]) == {}
            assert tx.labels([Q1]) == {}
            assert tx.statements(Q1, CAPITAL) == []
            assert tx.statement_history(Q1, CAPITAL) == []

    def test_labels_that_come_with_records_are_not_believed_by_that(self, ledger: Ledger) -> None:
        put(ledger, record(statement(1)))
        with ledger.read() as tx:
            assert (tx.labels([UK]), tx.pending_names([UK])) == ({}, {})

    def test_pending_names_are_replaced_and_forgotten(self, ledger: Ledger) -> None:
        standing = Standing(here=NOW, there=NOW - HOUR, origin=((Q1, 7), (Q2, 0)))
        one = PendingNames(names=Labels(item=Q1, label="one", aliases=("eins", "uno")), standing=standing)
        other = PendingNames(names=Labels(item=Q2, label="two"), standing=replace(standing, origin=()))
        newer = replace(one, names=Labels(item=Q1, label="One"), standing=replace(standing, here=NOW + HOUR))
        with ledger.write() as tx:
            tx.set_pending_names([one, other])
        with ledger.write() as tx:
            assert tx.pending_names([Q1, Q2, Q3]) == {Q1: one, Q2: other}
            tx.set_pending_names([newer])
            tx.clear_pending_names([Q2, Q3])
            assert tx.pending_names([Q1, Q2]) == {Q1: newer}
            assert tx.labels([Q1, Q2]) == {}

    def test_labels_are_replaced(self, ledger: Ledger) -> None:
        entries = [Labels(item=Q1, label="one", aliases=("eins", "uno")), Labels(item=Q2, label=None)]
        with ledger.write() as tx:
            tx.record_labels(entries)
            assert tx.labels([Q1, Q2]) == {"Q1": entries[0], "Q2": entries[1]}
            tx.record_labels([replace(entries[0], aliases=())])
            assert tx.labels([Q1])[Q1].aliases == ()

    def test_members_are_replaced_as_a_whole(self, ledger: Ledger) -> None:
        with ledger.write() as tx:
            tx.set_members(CAPITAL, [Q3, Q1, Q1], NOW)
            tx.set_members(HEAD_OF_STATE, [Q9], NOW)
            tx.set_members(CAPITAL, [Q2, Q1], NOW + HOUR)
        with ledger.read() as tx:
            assert (tx.members(CAPITAL), tx.members(HEAD_OF_STATE)) == ([Q1, Q2], [Q9])
        with ledger.write() as tx:
            tx.set_members(CAPITAL, [], NOW)
            assert (tx.members(CAPITAL), tx.members(HEAD_OF_STATE)) == ([], [Q9])
