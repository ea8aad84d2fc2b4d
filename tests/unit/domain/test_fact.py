from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kbsync.domain.fact import FactKey, FactRecord, FactState, Trust, began, holding, observe, settle, trust
from kbsync.domain.phrasing import fill
from kbsync.domain.relation import Cardinality, TrustPolicy
from kbsync.domain.standing import Clocks
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, TimePoint, Value, ValueKind

NOW = datetime(2026, 11, 1, tzinfo=UTC)
TODAY = Clocks(here=NOW, there=NOW)
UK, HEAD = ItemId("Q145"), PropertyId("P6")


def value(item: str) -> Value:
    return Value(ValueKind.ITEM, item)


def statement(item: str, rank: Rank = Rank.NORMAL, start: str = "", end: str = "", refs: int = 1) -> Statement:
    return Statement(
        id=f"Q145${item}{start}",
        subject=UK,
        property=HEAD,
        snak=Snak.VALUE,
        value=value(item),
        rank=rank,
        start=TimePoint(start) if start else None,
        end=TimePoint(end) if end else None,
        references=refs,
    )


def values(statements: list[Statement], cardinality: Cardinality = Cardinality.SINGLE) -> set[str]:
    return {s.value.text for s in holding(statements, cardinality, NOW) if s.value}


def test_deprecated_ended_and_future_statements_do_not_hold() -> None:
    statements = [
        statement("Q1", Rank.DEPRECATED),
        statement("Q2", start="2020-01-01", end="2022-01-01"),
        statement("Q3", start="2030-01-01"),
        statement("Q4", start="2022-01-01", end="2030-01-01"),
    ]
    assert values(statements) == {"Q4"}


def test_the_best_rank_wins() -> None:
    assert values([statement("Q1"), statement("Q2", Rank.PREFERRED)]) == {"Q2"}


def test_a_preferred_statement_that_ended_gives_way_to_its_successor_of_normal_rank() -> None:
    ended = statement("Q1", Rank.PREFERRED, start="2019-07-24", end="2022-09-06")
    assert values([ended, statement("Q2", start="2022-09-06")]) == {"Q2"}


def test_latest_takes_the_latest_start_and_set_takes_all() -> None:
    both = [statement("Q1", start="2019-01-01"), statement("Q2", start="2022-01-01"), statement("Q3")]
    assert values(both, Cardinality.LATEST) == {"Q2"}
    assert values(both, Cardinality.SET) == {"Q1", "Q2", "Q3"}


def test_unknown_and_no_value_hold_without_an_answer() -> None:
    preferred_novalue = replace(statement("Q1", Rank.PREFERRED), snak=Snak.NOVALUE, value=None)
    assert values([preferred_novalue, statement("Q2")]) == set()


def test_former_values_are_those_that_no_longer_hold() -> None:
    state = observe(
        [statement("Q1", end="2022-01-01"), statement("Q2", refs=3)], Cardinality.SINGLE, revision=7, since=NOW, now=NOW
    )
    assert state.values == (value("Q2"),)
    assert state.former == (value("Q1"),)
    assert (state.references, state.revision) == (3, 7)


def test_the_value_hash_ignores_everything_but_the_values() -> None:
    one = observe([statement("Q2", start="2022-01-01")], Cardinality.SINGLE, revision=1, since=NOW, now=NOW)
    other = observe([statement("Q2", refs=9)], Cardinality.SINGLE, revision=2, since=NOW - timedelta(1), now=NOW)
    assert one.value_hash == other.value_hash


def state(item: str | None, age: timedelta, refs: int = 1) -> FactState:
    held = (value(item),) if item else ()
    return FactState(values=held, former=(), statement_ids=(), references=refs, revision=1, since=NOW - age)


@pytest.mark.parametrize(
    ("observed", "level"),
    [
        (state("Q1", timedelta(minutes=1)), Trust.OBSERVED),
        (state("Q1", timedelta(hours=1)), Trust.SETTLED),
        (state("Q1", timedelta(hours=73), refs=0), Trust.SETTLED),
        (state("Q1", timedelta(hours=73)), Trust.TRUSTED),
        (state(None, timedelta(hours=73), refs=0), Trust.TRUSTED),
    ],
)
def test_trust_grows_with_time_and_references(observed: FactState, level: Trust) -> None:
    assert trust(observed, TrustPolicy(), TODAY)[0] is level


def test_what_began_or_ended_since_is_a_change_of_that_moment() -> None:
    statements = [statement("Q1", end="2024-03-01"), statement("Q2", start="2024-03-01"), statement("Q1")]
    month_before = NOW - timedelta(days=31)
    now = month_before.replace(year=2024, month=3, day=2)
    moment = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    assert began(statements[:2], Cardinality.SINGLE, now, now - timedelta(days=30)) == moment
    assert began(statements[:2], Cardinality.SINGLE, now, now - timedelta(hours=1)) is None
    assert began([statement("Q1", end="2024-03-01"), statement("Q1")], Cardinality.SINGLE, now, month_before) is None


def test_an_untrusted_change_leaves_the_belief_standing_and_its_revert_leaves_no_trace() -> None:
    old = state("Q1", timedelta(days=30))
    record = settle(FactRecord(key=FactKey(UK, HEAD), observed=old, believed=None), TrustPolicy(), TODAY)
    assert record.believed == old
    vandalised = settle(replace(record, observed=state("Q2", timedelta(minutes=2))), TrustPolicy(), TODAY)
    assert vandalised.believed == old
    assert vandalised.pending
    reverted = settle(replace(vandalised, observed=state("Q1", timedelta(minutes=1))), TrustPolicy(), TODAY)
    assert reverted.believed == old
    assert not reverted.pending
    persistent = settle(vandalised, TrustPolicy(), Clocks(NOW + timedelta(days=4), NOW + timedelta(days=4)))
    assert persistent.believed == vandalised.observed


def test_a_label_with_braces_is_filled_in_as_text() -> None:
    assert fill("The capital of {} is", "{0} {x}") == "The capital of {0} {x} is"
