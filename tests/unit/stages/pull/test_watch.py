"""What is watched: members that patterns find, and what happens when suspiciously much is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.fact import FactKey
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId
from kbsync.stages.pull.pull import pull
from tests.support.stage_world import CAPITAL, RELATIONS, World, statement

ITALY, MERGED = ItemId("Q38"), ItemId("Q999")


def merge(world: World, *, capital: str = "Q220") -> None:
    """Q38 becomes a redirect to Q999, which has taken over its statement."""
    world.source.set_item(MERGED, label="Italia", statements=[statement(MERGED, "P36", capital)])
    world.source.redirect(ITALY, MERGED)


PATTERN = "?item wdt:P31 wd:Q3624078"
STATES = ("Q142", "Q183", "Q38")


def found_by_pattern(**changes: object) -> Relation:
    return replace(RELATIONS[0], **({"subjects": (), "subject_pattern": PATTERN} | changes))  # type: ignore[arg-type]


def test_a_pattern_is_asked_again_only_when_its_time_has_come(world: World) -> None:
    relations = [found_by_pattern(refresh=timedelta(days=7))]
    world.source.patterns[PATTERN] = [ItemId(i) for i in STATES[:2]]
    first = pull(world.run, world.source, relations)
    assert (first.watched, first.joined, first.left) == (2, 2, 0)
    world.source.patterns[PATTERN] = [ItemId(i) for i in STATES]
    world.pass_time(timedelta(days=6))
    assert pull(world.run, world.source, relations).watched == 2
    assert world.source.questions["subjects"] == 1
    world.pass_time(timedelta(days=1))
    third = pull(world.run, world.source, relations)
    assert (third.watched, third.joined, third.left) == (3, 1, 0)
    world.pass_time(timedelta(days=3))
    pull(world.run, world.source, relations)
    assert world.believed("Q38", CAPITAL) == {"Q220"}


def test_a_member_that_leaves_is_watched_no_more_and_another_pattern_is_asked_at_once(world: World) -> None:
    world.source.patterns[PATTERN] = [ItemId(i) for i in STATES]
    pull(world.run, world.source, [found_by_pattern(refresh=timedelta(days=7))])
    world.pass_time(timedelta(days=7))
    world.source.patterns[PATTERN] = [ItemId(i) for i in STATES[1:]]
    result = pull(world.run, world.source, [found_by_pattern(refresh=timedelta(days=7))])
    assert (result.watched, result.left) == (2, 1)
    other = PATTERN + " ."
    world.source.patterns[other] = [ItemId("Q142")]
    narrowed = [found_by_pattern(subject_pattern=other, refresh=timedelta(days=7))]
    assert pull(world.run, world.source, narrowed).watched == 1


def test_a_pattern_that_the_source_can_not_answer_any_more_keeps_nothing_else_from_being_pulled(world: World) -> None:
    relations = [found_by_pattern(refresh=timedelta(hours=1)), RELATIONS[1]]
    world.source.patterns[PATTERN] = [ItemId(i) for i in STATES]
    real = world.source.subjects

    def too_much(relation: Relation) -> list[ItemId]:
        raise SourceDown(f"the pattern of {relation.name} takes too long")

    world.source.subjects = too_much  # type: ignore[method-assign]
    with pytest.raises(SourceDown, match="takes too long"):
        pull(world.run, world.source, relations)
    world.source.subjects = real  # type: ignore[method-assign]
    assert pull(world.run, world.source, relations).unasked == ()
    world.pass_time(timedelta(hours=2))
    world.set_statements("Q38", statement("Q38", "P36", "Q90"), age=timedelta(hours=1))
    world.source.subjects = too_much  # type: ignore[method-assign]
    result = pull(world.run, world.source, relations)
    assert (result.watched, result.fetched, result.unasked) == (3, 1, ("capital",))
    world.source.subjects = real  # type: ignore[method-assign]
    world.source.patterns[PATTERN] = [ItemId(i) for i in STATES[1:]]
    assert (again := pull(world.run, world.source, relations)).unasked == ()
    assert again.left == 1, "it was asked again, though its refresh had not passed since"


def test_a_pattern_that_finds_nothing_any_more_asks_a_person(world: World) -> None:
    relations = [found_by_pattern(refresh=timedelta(hours=1))]
    world.source.patterns[PATTERN] = [ItemId(i) for i in STATES]
    pull(world.run, world.source, relations)
    world.pass_time(timedelta(hours=2))
    world.source.patterns[PATTERN] = []
    with pytest.raises(SourceError, match="3 of 3 members of relation capital left it") as caught:
        pull(world.run, world.source, relations)
    assert "--accept-deletions" in caught.value.next_step
    with world.ledger.read() as tx:
        assert len(tx.members(CAPITAL)) == 3
    assert pull(world.run, world.source, relations, accept_deletions=True).watched == 0


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
