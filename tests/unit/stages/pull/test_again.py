"""Dates that an older kbsync read wrongly are read once more, and told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, Value, ValueKind
from kbsync.stages.pull.again import misread, note_read
from kbsync.stages.pull.pull import PullResult, pull
from kbsync.stages.pull.watch import Redirects
from tests.support import ledger_raw
from tests.support.stage_world import START, World

BORN = PropertyId("P569")
RELATION = Relation(
    name="born",
    property=BORN,
    label="date of birth",
    phrasings=from_templates("{} was born on", "The birth of {} was on"),
    subjects=(ItemId("Q1"), ItemId("Q2"), ItemId("Q3")),
)


def born(item: str, time: str, precision: int = 11) -> Statement:
    return Statement(
        id=f"{item}$P569",
        subject=ItemId(item),
        property=BORN,
        snak=Snak.VALUE,
        value=Value(ValueKind.TIME, time, str(precision)),
        rank=Rank.NORMAL,
        references=1,
    )


def look(world: World) -> PullResult:
    return pull(world.run, world.source, [RELATION])


def forget(place: Path) -> None:
    """Make the ledger one of an older kbsync, which notes no rule."""
    ledger_raw.run(f"sqlite:///{place}/ledger.sqlite3", "DELETE FROM watermarks WHERE source LIKE '%/dates/%'")


@pytest.fixture
def old(world: World, tmp_path: Path) -> World:
    """A ledger of an older kbsync: Q1 has a wrong date, and nothing says by which rule dates were read."""
    world.source.now = START - timedelta(days=30)
    for item, statement in (
        ("Q1", born("Q1", "-0043-03-13T00:00:00Z")),
        ("Q2", born("Q2", "1969-07-20T00:00:00Z")),
        ("Q3", born("Q3", "1750-01-01T00:00:00Z", 9)),
    ):
        world.source.set_item(item, label=item, statements=[statement])
    world.source.now = START
    look(world)
    forget(tmp_path)
    item = world.source.items[ItemId("Q1")]
    right = replace(item, statements=(born("Q1", "-0044-03-15T00:00:00Z"),))
    world.source.items[ItemId("Q1")] = right
    world.source.asked.clear()
    return world


def test_the_first_pull_after_the_upgrade_reads_doubtful_dates_again(old: World) -> None:
    result = look(old)
    assert old.source.asked == ["Q1"]
    assert (result.again, result.fetched, result.statements.changed, result.nothing_new) == (1, 0, 1, False)
    with old.ledger.read() as tx:
        newest = tx.newest_event("pull")
        assert newest and newest.body["again"] == 1
    old.source.asked.clear()
    assert (look(old).again, old.source.asked) == (0, [])


def test_the_right_date_is_believed_after_the_trust_time(old: World) -> None:
    look(old)
    assert old.believed("Q1", BORN) == {"-0043-03-13T00:00:00Z"}
    old.pass_time(timedelta(days=4))
    look(old)
    assert old.believed("Q1", BORN) == {"-0044-03-15T00:00:00Z"}


def test_a_pull_that_fails_leaves_them_to_the_next(old: World) -> None:
    old.source.fail_next(RuntimeError("down"))
    with pytest.raises(RuntimeError):
        look(old)
    assert look(old).again == 1


def test_a_new_ledger_reads_nothing_twice(world: World) -> None:
    world.source.set_item("Q1", label="one", statements=[born("Q1", "-0044-03-15T00:00:00Z")])
    assert [look(world).again, look(world).again] == [0, 0]


@pytest.mark.parametrize(
    ("time", "precision", "doubtful"),
    [
        ("-0043-01-01T00:00:00Z", 9, True),
        ("0000-01-01T00:00:00Z", 9, True),
        ("-13798000000-01-01T00:00:00Z", 3, True),
        ("1498-07-01T00:00:00Z", 11, True),
        ("1498-07-01T00:00:00Z", 10, False),
        ("1923-02-28T00:00:00Z", 11, True),
        ("1930-01-01T00:00:00Z", 11, False),
    ],
)
def test_which_dates_are_doubtful(world: World, tmp_path: Path, time: str, precision: int, doubtful: bool) -> None:
    world.source.set_item("Q1", label="one", statements=[born("Q1", time, precision)])
    look(world)
    with world.ledger.write() as tx:
        assert misread(tx, "fake", {BORN: [ItemId("Q1")]}, Redirects()) == set()
    forget(tmp_path)
    with world.ledger.write() as tx:
        assert misread(tx, "fake", {BORN: [ItemId("Q1")]}, Redirects()) == ({"Q1"} if doubtful else set())
        note_read(tx, "fake", [BORN])
        assert misread(tx, "fake", {BORN: [ItemId("Q1")]}, Redirects()) == set()
        assert tx.watermark("fake/P569/dates/2") == START
