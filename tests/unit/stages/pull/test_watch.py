"""What is watched: members that patterns find, and what happens when suspiciously much is gone."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.fact import FactKey
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, Value, ValueKind
from kbsync.stages.pull.object_labels import LABELS_REFRESH
from kbsync.stages.pull.pull import pull
from tests.support.stage_world import CAPITAL, RELATIONS, World, statement

PATTERN = "?item wdt:P31 wd:Q3624078"
STATES = ("Q142", "Q183", "Q38")
ROME = ItemId("Q220")


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


def many(world: World, count: int) -> list[Relation]:
    items = [f"Q{n}" for n in range(1001, 1001 + count)]
    for item in items:
        world.source.set_item(item, label=item, statements=[statement(item, "P36", "Q90")])
    return [replace(RELATIONS[0], subjects=tuple(ItemId(i) for i in items))]


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


def test_names_of_objects_are_looked_up_again_when_they_were_missing_or_are_old(world: World) -> None:
    world.source.set_item(ROME, label=None)
    pull(world.run, world.source, RELATIONS)

    def name() -> str | None:
        with world.ledger.read() as tx:
            return tx.labels([ROME])[ROME].label

    assert name() is None
    world.source.set_item(ROME, label="Rome")
    pull(world.run, world.source, RELATIONS)
    assert name() == "Rome"
    world.source.set_item(ROME, label="Roma")
    result = pull(world.run, world.source, RELATIONS)
    assert (name(), result.observed) == ("Rome", 0)
    world.pass_time(LABELS_REFRESH)
    assert pull(world.run, world.source, RELATIONS).observed == 0
    assert name() == "Roma"


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
