"""Redirects: a merged item keeps its fact, its history and its name."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId
from kbsync.stages.pull.pull import pull
from kbsync.views.explain import explain
from tests.support.stage_world import CAPITAL, RELATIONS, World, statement

ITALY, MERGED = ItemId("Q38"), ItemId("Q999")


def merge(world: World, *, capital: str = "Q220") -> None:
    """Q38 becomes a redirect to Q999, which has taken over its statement."""
    world.source.set_item(MERGED, label="Italia", statements=[statement(MERGED, "P36", capital)])
    world.source.redirect(ITALY, MERGED)


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


def test_a_change_of_the_target_is_a_change_of_the_fact(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    merge(world)
    pull(world.run, world.source, RELATIONS)
    world.source.asked.clear()
    world.source.set_item(MERGED, label="Italia", statements=[statement(MERGED, "P36", "Q90")])
    assert pull(world.run, world.source, RELATIONS).observed == 1
    assert world.source.asked == [MERGED]
    world.pass_time(timedelta(days=30))
    pull(world.run, world.source, RELATIONS)
    assert world.believed(ITALY, CAPITAL) == {"Q90"}


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


def test_a_redirect_without_a_revision_of_its_own_is_followed_too(world: World) -> None:
    """The public service keeps of a redirect where it leads, and nothing else."""
    pull(world.run, world.source, RELATIONS)
    merge(world)
    world.source.items[ITALY] = replace(world.source.items[ITALY], revision=0)
    pull(world.run, world.source, RELATIONS)
    assert world.believed(ITALY, CAPITAL) == {"Q220"}
    world.source.asked.clear()
    assert pull(world.run, world.source, RELATIONS).nothing_new
    assert world.source.asked == []


def test_redirects_in_a_row_and_in_a_circle(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    merge(world)
    world.source.set_item("Q1000", label="Italy", statements=[statement("Q1000", "P36", "Q220")])
    world.source.redirect(MERGED, "Q1000")
    pull(world.run, world.source, RELATIONS)
    with world.ledger.read() as tx:
        record = tx.fact(FactKey(ITALY, CAPITAL))
    assert record is not None and {v.text for v in record.observed.values} == {"Q220"}
    world.source.redirect("Q1000", ITALY)
    pull(world.run, world.source, RELATIONS, accept_deletions=True)
    with world.ledger.read() as tx:
        record = tx.fact(FactKey(ITALY, CAPITAL))
    assert record is not None and record.observed.values == ()
