"""From statements to facts: what is observed, what is believed, and when."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId, Rank, Value, ValueKind
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.decide import approve
from kbsync.stages.pull.pull import PullResult, pull
from kbsync.views.explain import explain
from tests.support.stage_world import BORNE, CAPITAL, CASTEX_ENDED, HEAD, PARIS, RELATIONS, World, statement

ITALY, MERGED = ItemId("Q38"), ItemId("Q999")


def merge(world: World, *, capital: str = "Q220") -> None:
    """Q38 becomes a redirect to Q999, which has taken over its statement."""
    world.source.set_item(MERGED, label="Italia", statements=[statement(MERGED, "P36", capital)])
    world.source.redirect(ITALY, MERGED)


def pull_all(world: World) -> PullResult:
    return pull(world.run, world.source, RELATIONS)


def test_a_deleted_item_loses_its_fact_only_after_the_trust_time(world: World) -> None:
    pull_all(world)
    world.source.delete("Q38")
    pull_all(world)
    assert world.believed("Q38", CAPITAL) == {"Q220"}
    world.pass_time(timedelta(hours=73))
    pull_all(world)
    assert world.believed("Q38", CAPITAL) == set()
    with world.ledger.read() as tx:
        assert tx.statement_history(ItemId("Q38"), CAPITAL)[-1].after is None


@pytest.mark.parametrize("remembers", [True, False])
def test_an_item_that_is_deleted_only_when_somebody_looks_keeps_its_fact(world: World, remembers: bool) -> None:
    world.source.remembers = remembers
    pull_all(world)
    for _ in range(5):
        world.source.delete("Q38")
        pull_all(world)
        world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(0))
        world.pass_time(timedelta(hours=35))
    assert world.believed("Q38", CAPITAL) == {"Q220"}


def test_a_deletion_that_nobody_dates_waits_for_a_person(world: World) -> None:
    world.source.remembers = False
    pull_all(world)
    world.source.delete("Q38")
    for _ in range(3):
        pull_all(world)
        world.pass_time(timedelta(days=5))
    assert (world.believed("Q38", CAPITAL), pull_all(world).waiting) == ({"Q220"}, 1)
    approve(world.run, FactKey(ItemId("Q38"), CAPITAL), "it is gone for good")
    pull_all(world)
    assert world.believed("Q38", CAPITAL) == set()


def test_a_statement_that_ends_by_time_alone_is_noticed_without_a_new_revision(world: World) -> None:
    world.set_statements("Q38", statement("Q38", "P36", "Q220", end="2026-02-01"))
    pull_all(world)
    assert world.believed("Q38", CAPITAL) == {"Q220"}
    world.pass_time(timedelta(days=32))
    assert pull_all(world).observed == 1
    world.pass_time(timedelta(hours=73))
    pull_all(world)
    assert world.believed("Q38", CAPITAL) == set()


def test_a_label_change_alone_changes_no_fact(world: World) -> None:
    pull_all(world)
    world.source.set_item("Q38", label="Italia", statements=[statement("Q38", "P36", "Q220")])
    result = pull_all(world)
    assert (result.fetched, result.observed, result.believed) == (1, 0, 0)
    with world.ledger.read() as tx:
        assert tx.labels([ItemId("Q38")])[ItemId("Q38")].label == "Italy"
        record = tx.fact(FactKey(ItemId("Q38"), CAPITAL))
    assert record is not None
    assert not record.pending


def test_values_of_another_kind_than_the_relations_are_passed_over(world: World) -> None:
    odd = replace(statement("Q38", "P36", "Q220"), id="Q38$odd", value=Value(ValueKind.STRING, "Roma"))
    world.set_statements("Q38", statement("Q38", "P36", "Q220"), odd)
    relations = [replace(RELATIONS[0], answer=ValueKind.ITEM)]
    pull(world.run, world.source, relations)
    assert world.believed("Q38", CAPITAL) == {"Q220"}


def test_an_external_identifier_is_one_because_the_relation_says_so(world: World) -> None:
    code = replace(statement("Q38", "P36", "Q220"), value=Value(ValueKind.STRING, "ITA"))
    world.set_statements("Q38", code)
    pull(world.run, world.source, [replace(RELATIONS[0], answer=ValueKind.EXTERNAL_ID)])
    with world.ledger.read() as tx:
        record = tx.fact(FactKey(ItemId("Q38"), CAPITAL))
    assert record is not None and record.observed.values == (Value(ValueKind.EXTERNAL_ID, "ITA"),)


def test_a_redirected_subject_keeps_its_fact_its_history_and_gets_the_targets_name(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    merge(world)
    result = pull(world.run, world.source, RELATIONS)
    assert (result.fetched, result.observed, result.waiting) == (2, 0, 0)
    world.pass_time(timedelta(days=30))
    pull(world.run, world.source, RELATIONS)
    assert world.believed(ITALY, CAPITAL) == {"Q220"}
    with world.ledger.read() as tx:
        assert tx.labels([ITALY])[ITALY].label == "Italia"
        assert [c.after is None for c in tx.statement_history(ITALY, CAPITAL)] == [False, True]
        view = explain(tx, ITALY, RELATIONS[0], world.clock.now())
    assert (view.redirect_to, len(view.history), view.observed.values) == (MERGED, 3, ("Rome (Q220)",))


def test_of_two_watched_items_that_are_merged_one_tells_the_fact(world: World) -> None:
    subjects = (*RELATIONS[0].subjects, MERGED)
    relations = [replace(RELATIONS[0], subjects=subjects), RELATIONS[1]]
    pull(world.run, world.source, relations, accept_deletions=True)
    merge(world)
    world.pass_time(timedelta(days=30))
    pull(world.run, world.source, relations)
    world.pass_time(timedelta(days=30))
    pull(world.run, world.source, relations)
    assert world.believed(MERGED, CAPITAL) == {"Q220"}
    assert world.believed(ITALY, CAPITAL) == set()


def test_a_merge_that_is_undone_leaves_the_fact_as_it_was(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    merge(world)
    pull(world.run, world.source, RELATIONS)
    world.source.set_item(ITALY, label="Italy", statements=[statement(ITALY, "P36", "Q220")])
    result = pull(world.run, world.source, RELATIONS)
    assert (result.observed, result.waiting) == (0, 0)
    assert world.believed(ITALY, CAPITAL) == {"Q220"}
    with world.ledger.read() as tx:
        assert len(tx.statements(ITALY, CAPITAL)) == 1


@pytest.mark.slow
def test_vandalism_is_not_believed_and_its_revert_changes_nothing(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=1))
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(minutes=2))
    result = world.sync()
    assert result.outcome is CycleOutcome.NOTHING
    assert result.pulled.waiting == 1
    assert world.believed("Q38", CAPITAL) == {"Q220"}
    world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(minutes=1))
    assert world.sync().pulled.waiting == 0
    assert world.believed("Q38", CAPITAL) == {"Q220"}


@pytest.mark.slow
def test_a_change_is_believed_once_it_was_left_alone_long_enough(world: World) -> None:
    world.sync()
    world.pass_time(timedelta(days=1))
    world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(minutes=2))
    assert world.sync().outcome is CycleOutcome.NOTHING
    world.pass_time(timedelta(hours=71))
    assert world.sync().outcome is CycleOutcome.NOTHING
    world.pass_time(timedelta(hours=2))
    result = world.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert result.pulled.fetched == 0
    assert world.believed("Q142", HEAD) == {"Q30333"}


def believed_after(world: World, *steps: timedelta) -> list[set[str]]:
    """What is believed of Italy's capital at the looks after these times."""
    found = []
    for step in steps:
        world.pass_time(step)
        pull_all(world)
        found.append(world.believed("Q38", CAPITAL))
    return found


def test_a_merge_into_an_old_item_is_as_young_as_the_look_that_found_it(world: World) -> None:
    world.source.set_item(MERGED, label="Italy", statements=[statement(MERGED, "P36", "Q586")])
    pull_all(world)
    world.pass_time(timedelta(days=9))
    world.source.redirect(ITALY, MERGED)
    hours = timedelta(hours=1)
    assert believed_after(world, hours, 71 * hours, hours) == [{"Q220"}, {"Q220"}, {"Q586"}]


def test_what_begins_waits_from_the_look_that_found_it(world: World) -> None:
    successor = statement("Q38", "P36", "Q586", rank=Rank.PREFERRED, start="2026-01-05")
    world.set_statements("Q38", statement("Q38", "P36", "Q220"), successor)
    assert believed_after(world, timedelta(0), timedelta(days=5), timedelta(days=3)) == [{"Q220"}, {"Q220"}, {"Q586"}]


def test_what_began_before_the_first_look_waits_from_that_moment(world: World) -> None:
    world.set_statements("Q38", statement("Q38", "P36", "Q586", start="2025-12-31"))
    assert believed_after(world, timedelta(0), timedelta(days=1), timedelta(days=1)) == [set(), set(), {"Q586"}]


@pytest.mark.slow
def test_a_value_that_is_there_only_when_somebody_looks_has_not_stood(world: World) -> None:
    for world.source.remembers in (True, False):
        pull_all(world)
        for _ in range(5):
            world.pass_time(timedelta(days=1))
            world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(minutes=5))
            pull_all(world)
            world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(0))
        assert world.believed("Q38", CAPITAL) == {"Q220"}


@pytest.mark.slow
def test_other_edits_delay_a_change_only_where_the_items_history_is_unknown(world: World) -> None:
    found = []
    for world.source.remembers, value in ((True, "Q586"), (False, "Q64")):
        pull_all(world)
        for hour in range(0, 96, 24):
            changed = statement("Q38", "P36", value), statement("Q38", "P6", f"Q{hour + 1}")
            world.set_statements("Q38", *changed, age=timedelta(0))
            pull_all(world)
            world.pass_time(timedelta(hours=24))
        world.set_statements("Q38", *changed, age=timedelta(0))
        pull_all(world)
        found.append(world.believed("Q38", CAPITAL))
    assert found == [{"Q586"}, {"Q586"}]


@pytest.mark.parametrize("days", [-5, 5])
def test_one_wrong_clock_makes_no_change_older(world: World, days: int) -> None:
    pull_all(world)
    world.pass_time(timedelta(hours=1))
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(minutes=1))
    world.clock.time += timedelta(days=days)
    pull_all(world)
    world.clock.time -= timedelta(days=days)
    assert believed_after(world, timedelta(minutes=10), timedelta(hours=71), timedelta(hours=1)) == [
        {"Q220"},
        {"Q220"},
        {"Q586"},
    ]


def test_a_member_that_a_pattern_has_found_anew_waits_however_old_its_item_is(world: World) -> None:
    world.source.patterns["?item a ?x"] = [ITALY]
    relations = [replace(RELATIONS[0], subjects=(), subject_pattern="?item a ?x")]
    pull(world.run, world.source, relations)
    world.source.patterns["?item a ?x"] = [ITALY, ItemId("Q142")]
    world.pass_time(timedelta(days=2))
    assert pull(world.run, world.source, relations).joined == 1
    assert (world.believed("Q38", CAPITAL), world.believed("Q142", CAPITAL)) == ({"Q220"}, set())
    world.pass_time(timedelta(days=3))
    pull(world.run, world.source, relations)
    assert world.believed("Q142", CAPITAL) == {"Q90"}


@pytest.mark.slow
def test_an_unreferenced_change_is_never_believed(world: World) -> None:
    world.sync()
    world.set_statements("Q38", statement("Q38", "P36", "Q586", refs=0), age=timedelta(days=20))
    world.pass_time(timedelta(days=30))
    assert world.sync().pulled.waiting == 1
    assert world.believed("Q38", CAPITAL) == {"Q220"}


@pytest.mark.slow
def test_an_item_that_is_a_member_only_when_somebody_looks_is_not_believed(world: World) -> None:
    """Patterns can be vandalised elsewhere, as in a class, so that no revision of the item tells of it."""
    relations = [replace(RELATIONS[0], subjects=(), subject_pattern="?item a ?x", refresh=timedelta(0))]
    world.source.patterns["?item a ?x"] = [ITALY]
    pull(world.run, world.source, relations)
    for _ in range(4):
        world.pass_time(timedelta(hours=30))
        world.source.patterns["?item a ?x"] = [ITALY, ItemId("Q142")]
        pull(world.run, world.source, relations)
        world.pass_time(timedelta(hours=30))
        world.source.patterns["?item a ?x"] = [ITALY]
        pull(world.run, world.source, relations)
    assert world.believed("Q142", CAPITAL) == set()
    world.source.patterns["?item a ?x"] = [ITALY, ItemId("Q142")]
    for _ in range(2):
        pull(world.run, world.source, relations)
        world.pass_time(timedelta(hours=73))
    pull(world.run, world.source, relations)
    assert world.believed("Q142", CAPITAL) == {"Q90"}


@pytest.mark.slow
@pytest.mark.parametrize("remembers", [True, False])
def test_a_fact_that_another_subject_takes_away_only_when_somebody_looks_stays(world: World, remembers: bool) -> None:
    """Q142 leads to what Q38 leads to, so it would tell the fact; no revision of Q38 or of their target tells of it."""
    world.source.now -= timedelta(days=30)
    merge(world)
    world.pass_time(timedelta(0))
    pull_all(world)
    world.source.remembers = remembers
    assert world.believed(ITALY, CAPITAL) == {"Q220"}
    for _ in range(4):
        world.source.redirect("Q142", MERGED)
        pull_all(world)
        world.pass_time(timedelta(hours=1))
        world.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(0))
        world.pass_time(timedelta(hours=30))
    assert (world.believed(ITALY, CAPITAL), world.believed("Q142", CAPITAL)) == ({"Q220"}, {"Q90"})
    world.source.redirect("Q142", MERGED)
    pull_all(world)
    world.pass_time(timedelta(hours=73))
    pull_all(world)
    took = (set(), {"Q220"}) if remembers else ({"Q220"}, {"Q90"})  # without dates, a person has to say so
    assert (world.believed(ITALY, CAPITAL), world.believed("Q142", CAPITAL)) == took


@pytest.mark.slow
def test_a_redirect_that_nobody_dates_waits_for_a_person_and_is_believed_from_then_on(world: World) -> None:
    pull_all(world)
    world.source.remembers = False
    world.source.now -= timedelta(days=30)
    merge(world, capital="Q586")
    world.pass_time(timedelta(0))
    for _ in range(3):  # it leads there only when somebody looks
        world.source.redirect(ITALY, MERGED)
        pull_all(world)
        world.pass_time(timedelta(hours=1))
        world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(0))
        world.pass_time(timedelta(hours=35))
    assert world.believed(ITALY, CAPITAL) == {"Q220"}
    world.source.redirect(ITALY, MERGED)
    for _ in range(3):
        pull_all(world)
        world.pass_time(timedelta(hours=73))
    assert world.believed(ITALY, CAPITAL) == {"Q220"}
    approve(world.run, FactKey(ITALY, CAPITAL), "")
    world.source.set_item(MERGED, label="Italia", statements=[statement(MERGED, "P36", "Q64")])
    assert believed_after(world, timedelta(0), timedelta(hours=73)) == [{"Q586"}, {"Q64"}]
