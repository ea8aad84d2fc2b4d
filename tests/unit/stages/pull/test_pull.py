"""Pulling: every change once, nothing half-done, whatever the source does."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId
from kbsync.stages.pull.pull import PullResult, pull
from tests.support.stage_world import CAPITAL, HEAD, LABELS, RELATIONS, World, statement


def pull_all(world: World) -> PullResult:
    return pull(world.run, world.source, RELATIONS)


def test_the_first_pull_fetches_everything_and_the_second_nothing(world: World) -> None:
    first = pull_all(world)
    assert (first.watched, first.fetched, first.statements.added) == (3, 3, 7)
    assert (first.observed, first.believed, first.waiting) == (5, 5, 0)
    world.source.asked.clear()
    second = pull_all(world)
    assert second.nothing_new
    assert world.source.asked == []


def test_only_items_with_a_new_revision_are_fetched(world: World) -> None:
    pull_all(world)
    world.source.asked.clear()
    world.set_statements("Q38", statement("Q38", "P36", "Q220", refs=2))
    result = pull_all(world)
    assert world.source.asked == ["Q38"]
    assert (result.fetched, result.statements.changed, result.observed) == (1, 1, 0)


def test_a_relation_that_is_new_fetches_its_subjects_even_when_no_item_changed(world: World) -> None:
    pull(world.run, world.source, RELATIONS[:1])
    assert world.believed("Q183", HEAD) == set()
    pull_all(world)
    assert world.believed("Q183", HEAD) == {"Q61053"}


def test_objects_are_named(world: World) -> None:
    pull_all(world)
    with world.ledger.read() as tx:
        assert tx.labels([ItemId("Q61053"), ItemId("Q586")])[ItemId("Q586")].label == "Bonn"


def test_a_failed_page_changes_nothing_and_the_next_pull_makes_up_for_it(world: World) -> None:
    world.source.page = 1
    original = world.source.records

    def torn(items, properties):  # type: ignore[no-untyped-def]
        pages = original(items, properties)
        yield next(pages)
        raise SourceDown("The connection was reset.")

    world.source.records = torn  # type: ignore[method-assign]
    with pytest.raises(SourceDown):
        pull_all(world)
    with world.ledger.read() as tx:
        assert len(tx.heads([ItemId(i) for i in LABELS])) == 1
        assert tx.facts() == []
        assert tx.watermark(world.source.name) is None
    world.source.records = original  # type: ignore[method-assign]
    result = pull_all(world)
    assert (result.fetched, result.statements.added, result.believed) == (3, 5, 5)


def test_a_source_that_is_behind_the_ledger_is_not_followed(world: World) -> None:
    pull_all(world)
    world.source.now -= timedelta(minutes=1)
    with pytest.raises(SourceDown, match="already up to"):
        pull_all(world)


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


def test_a_mass_deletion_stops_and_asks(world: World) -> None:
    relation = RELATIONS[0]
    items = [f"Q{n}" for n in range(1001, 1021)]
    for item in items:
        world.source.set_item(item, label=item, statements=[statement(item, "P36", "Q90")])
    many = [replace(relation, subjects=tuple(ItemId(i) for i in items))]
    pull(world.run, world.source, many)
    for item in items[:6]:
        world.source.delete(item)
    with pytest.raises(SourceError, match="6 of 20 known items are missing"):
        pull(world.run, world.source, many)


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
        assert tx.labels([ItemId("Q38")])[ItemId("Q38")].label == "Italia"
        record = tx.fact(FactKey(ItemId("Q38"), CAPITAL))
    assert record is not None
    assert not record.pending
