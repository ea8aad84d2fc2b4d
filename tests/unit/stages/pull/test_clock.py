"""Times that can't be are refused, and a person can set them right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.statement import ItemId
from kbsync.stages.pull import pull as module
from kbsync.stages.pull.clock import AHEAD, REFUSED
from kbsync.stages.pull.pull import pull
from kbsync.views.status import status
from tests.support.stage_world import CAPITAL, RELATIONS, World, statement

FAR = datetime(2099, 1, 1, tzinfo=UTC)
ITALY = ItemId("Q38")


def problem(world: World) -> str | None:
    with world.ledger.read() as tx:
        return status(tx, RELATIONS, world.clock.now()).time_problem


def test_a_time_that_has_not_come_yet_is_refused_and_told_until_the_next_pull(world: World) -> None:
    world.look()
    world.source.now = FAR
    for _ in range(2):
        with pytest.raises(SourceError, match="2099-01-01 00:00, and this machine's clock says 2026-01-01") as refused:
            world.look()
        assert not isinstance(refused.value, SourceDown)
    with world.ledger.read() as tx:
        assert len(tx.audit(kind=REFUSED)) == 1
        assert tx.watermark(world.source.name) == world.clock.time
    assert "was refused" in (problem(world) or "")
    world.pass_time(timedelta(hours=1))
    world.look()
    assert problem(world) is None


def test_a_source_that_is_ahead_by_less_than_a_day_is_believed(world: World) -> None:
    world.source.now = world.clock.time + AHEAD
    world.look()
    assert problem(world) is None


def test_this_machines_clock_is_no_measure_where_it_is_behind_the_ledger(world: World) -> None:
    world.look()
    world.pass_time(timedelta(hours=1))
    world.clock.time -= timedelta(days=5)
    world.look()
    world.source.now += AHEAD + timedelta(seconds=1)
    with pytest.raises(SourceError):
        world.look()


def test_a_ledger_that_is_ahead_of_time_is_set_right_by_a_person(world: World) -> None:
    world.look()
    with world.ledger.write() as tx:
        for name in ("fake", "fake/P36", "fake/P6", "fake/labels"):
            tx.set_watermark(name, FAR)
    world.pass_time(timedelta(hours=1))
    with pytest.raises(SourceDown, match="--accept-time"):
        world.look()
    assert "--accept-time" in (problem(world) or "")
    pull(world.run, world.source, RELATIONS, accept_time=True)
    assert problem(world) is None
    with world.ledger.read() as tx:
        assert {tx.watermark(f"fake{part}") for part in ("", "/P36", "/P6", "/labels")} == {world.clock.time}
    world.pass_time(timedelta(hours=1))
    world.look()


def test_an_item_that_is_dated_ahead_stays_as_it_was_and_is_named(world: World) -> None:
    world.look()
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(days=-400))
    result = world.look()
    assert (result.impossible, result.fetched) == ((ITALY,), 0)
    assert "Q38" in (problem(world) or "")
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(0))
    assert (world.look().impossible, problem(world)) == ((), None)
    world.pass_time(timedelta(hours=73))
    world.look()
    assert world.believed("Q38", CAPITAL) == {"Q586"}


def test_what_waits_grows_no_older_while_its_item_is_dated_ahead(world: World) -> None:
    world.look()
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(0))
    world.look()
    world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(days=-400))
    world.pass_time(timedelta(days=4))
    assert world.look().waiting == 1
    assert world.believed("Q38", CAPITAL) == {"Q220"}


def test_a_revision_beyond_all_others_does_not_freeze_its_item(world: World) -> None:
    world.look()
    world.source.set_item(ITALY, label="Italy", revision=10**15)
    world.look()
    world.pass_time(timedelta(hours=1))
    world.source.set_item(ITALY, label="Italy", statements=[statement("Q38", "P36", "Q586")], revision=5000)
    assert world.look().fetched == 1
    with world.ledger.read() as tx:
        assert tx.heads([ITALY])[ITALY].revision == 5000


def test_of_many_items_that_are_dated_ahead_some_are_named(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hostile source could fill the audit trail with their names."""
    monkeypatch.setattr(module, "NAMED", 1)
    world.look()
    for item in ("Q142", "Q183", "Q38"):
        world.set_statements(item, statement(item, "P36", "Q586"), age=timedelta(days=-400))
    for _ in range(2):
        assert len(world.look().impossible) == 3
    assert (problem(world) or "").startswith("It says of 3 items") and "Q142 and others" in (problem(world) or "")
    with world.ledger.read() as tx:
        assert [e.body.get("impossible") for e in tx.audit(kind="pull")] == [None, ["Q142"]]
