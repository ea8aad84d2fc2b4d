"""Which items are fetched, and what is recorded of them page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId
from kbsync.stages.pull.pull import PullResult, pull
from tests.support.stage_world import CAPITAL, HEAD, LABELS, RELATIONS, World, statement

ITALY, MERGED = ItemId("Q38"), ItemId("Q999")


def merge(world: World, *, capital: str = "Q220") -> None:
    """Q38 becomes a redirect to Q999, which has taken over its statement."""
    world.source.set_item(MERGED, label="Italia", statements=[statement(MERGED, "P36", capital)])
    world.source.redirect(ITALY, MERGED)


def many(world: World, count: int) -> list[Relation]:
    items = [f"Q{n}" for n in range(1001, 1001 + count)]
    for item in items:
        world.source.set_item(item, label=item, statements=[statement(item, "P36", "Q90")])
    return [replace(RELATIONS[0], subjects=tuple(ItemId(i) for i in items))]


def pull_all(world: World) -> PullResult:
    return pull(world.run, world.source, RELATIONS)


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


def test_an_endpoint_that_knows_revisions_and_no_statements_yet_loses_nothing(world: World) -> None:
    relations = many(world, 20)
    pull(world.run, world.source, relations)
    for number in range(1001, 1007):
        world.source.set_item(f"Q{number}", label="loading")
    with pytest.raises(SourceError, match="6 of 20 known items have lost all their statements"):
        pull(world.run, world.source, relations)
    with world.ledger.read() as tx:
        assert len(tx.statements_of(CAPITAL, relations[0].subjects)) == 20
    assert pull(world.run, world.source, relations, accept_deletions=True).statements.removed == 6


def test_a_few_that_lose_their_statements_are_news(world: World) -> None:
    relations = many(world, 20)
    pull(world.run, world.source, relations)
    for number in range(1001, 1004):
        world.source.set_item(f"Q{number}", label="bare")
    assert pull(world.run, world.source, relations).statements.removed == 3


def test_items_that_vanish_between_poll_and_fetch_are_left_for_the_next_pull(world: World) -> None:
    pull(world.run, world.source, RELATIONS)
    world.set_statements("Q38", statement("Q38", "P36", "Q90"))
    honest = world.source.records

    def forgetful(items, properties):  # type: ignore[no-untyped-def]
        for page in honest(items, properties):
            yield [
                replace(r, head=replace(r.head, revision=0, modified=None, deleted=True), statements=()) for r in page
            ]

    world.source.records = forgetful  # type: ignore[method-assign]
    with pytest.raises(SourceDown, match="1 items had a revision"):
        pull(world.run, world.source, RELATIONS)
    with world.ledger.read() as tx:
        assert [s.value.text for s in tx.statements(ItemId("Q38"), CAPITAL) if s.value] == ["Q220"]
    world.source.records = honest  # type: ignore[method-assign]
    assert pull(world.run, world.source, RELATIONS).statements.added == 1


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


def test_an_item_that_is_fetched_older_than_it_was_polled_grows_no_older(world: World) -> None:
    """Of several replicas behind one endpoint, one may lag for days."""
    pull_all(world)
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(0))
    pull_all(world)
    lagging = world.source.items[ITALY]
    world.pass_time(timedelta(hours=73))
    world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(hours=50))
    reverted, original = world.source.items[ITALY], world.source.records

    def late(items, properties):  # type: ignore[no-untyped-def]
        world.source.items[ITALY] = lagging
        yield from list(original(items, properties))
        world.source.items[ITALY] = reverted

    world.source.records = late  # type: ignore[method-assign]
    pull_all(world)
    assert world.believed("Q38", CAPITAL) == {"Q220"}
    world.source.records = original  # type: ignore[method-assign]
    assert pull_all(world).waiting == 0
