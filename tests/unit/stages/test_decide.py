"""A person's decisions: what they change, what they leave, and what the trail says of them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.errors import KbsyncError, NotFound
from kbsync.domain.fact import FactKey, Trust, trust
from kbsync.domain.plan import Change
from kbsync.domain.standing import Clocks
from kbsync.domain.statement import ItemId
from kbsync.stages.cycle import CycleOutcome
from kbsync.stages.decide import approve, clear, exclude, pin
from kbsync.stages.pull.pull import pull
from tests.support.stage_world import CAPITAL, HEAD, RELATIONS, World, statement

ITALY = FactKey(ItemId("Q38"), CAPITAL)
GERMANY = FactKey(ItemId("Q183"), HEAD)


def changed_today(world: World) -> None:
    """Italy's capital moves to Paris, an hour ago."""
    pull(world.run, world.source, RELATIONS)
    world.set_statements("Q38", statement("Q38", "P36", "Q90"), age=timedelta(hours=1))
    assert pull(world.run, world.source, RELATIONS).waiting == 1
    assert world.believed("Q38", CAPITAL) == {"Q220"}


def events(world: World) -> list[tuple[str, str]]:
    with world.ledger.read() as tx:
        return [(e.kind, e.body["reason"]) for e in tx.audit() if e.kind.startswith("fact ")]


def test_an_approved_fact_is_believed_at_once_and_once_only(world: World) -> None:
    changed_today(world)
    assert not approve(world.run, ITALY, "seen in the gazette").already
    assert world.believed("Q38", CAPITAL) == {"Q90"}
    assert approve(world.run, ITALY, "again").already
    assert events(world) == [("fact approve", "seen in the gazette")]
    assert pull(world.run, world.source, RELATIONS).waiting == 0


def test_after_an_approval_the_next_change_has_to_earn_its_trust(world: World) -> None:
    changed_today(world)
    approve(world.run, ITALY, "")
    world.set_statements("Q38", statement("Q38", "P36", "Q64"), age=timedelta(minutes=1))
    assert pull(world.run, world.source, RELATIONS).waiting == 1
    assert world.believed("Q38", CAPITAL) == {"Q90"}


def test_a_pinned_fact_keeps_its_belief_until_the_pin_is_withdrawn(world: World) -> None:
    changed_today(world)
    pin(world.run, ITALY, "the gazette is wrong")
    world.pass_time(timedelta(days=30))
    assert pull(world.run, world.source, RELATIONS).believed == 0
    assert world.believed("Q38", CAPITAL) == {"Q220"}
    with pytest.raises(KbsyncError, match="pinned by test: the gazette is wrong"):
        approve(world.run, ITALY, "")
    assert pin(world.run, ITALY, "twice").already
    assert not clear(world.run, ITALY, "it is right").already
    assert clear(world.run, ITALY, "").already
    assert pull(world.run, world.source, RELATIONS).believed == 1
    assert world.believed("Q38", CAPITAL) == {"Q90"}
    assert [kind for kind, _ in events(world)] == ["fact pin", "fact clear"]


def test_pinning_what_is_not_believed_yet_believes_what_is_observed(world: World) -> None:
    world.set_statements("Q38", statement("Q38", "P36", "Q90"), age=timedelta(minutes=1))
    pull(world.run, world.source, RELATIONS)
    assert world.believed("Q38", CAPITAL) == set()
    pin(world.run, ITALY, "")
    assert world.believed("Q38", CAPITAL) == {"Q90"}


@pytest.mark.slow
def test_an_excluded_fact_is_not_edited_and_is_taken_back_where_it_was(world: World) -> None:
    first = world.sync()
    assert first.outcome is CycleOutcome.PROMOTED
    assert GERMANY in {r.key for r in first.planned.plan.requests}
    exclude(world.run, GERMANY, "disputed")
    second = world.sync()
    (entry,) = [e for e in second.planned.plan.entries if e.key == GERMANY]
    assert (entry.change, entry.reason) == (Change.RETRACT, "excluded by test: disputed")
    assert GERMANY not in {r.key for r in second.planned.plan.requests}
    assert [r.reason for r in second.planned.plan.refused if r.key == GERMANY] == ["excluded by test: disputed"]
    clear(world.run, GERMANY, "settled")
    assert GERMANY in {r.key for r in world.sync().planned.plan.requests}


def test_what_the_ledger_does_not_hold_can_not_be_decided(world: World) -> None:
    for decide in (approve, pin, exclude, clear):
        with pytest.raises(NotFound, match="Q999999"):
            decide(world.run, FactKey(ItemId("Q999999"), CAPITAL), "")


def test_trust_grows_from_observed_over_settled_to_trusted_and_a_revert_leaves_no_trace(world: World) -> None:
    pull(world.run, world.source, RELATIONS)

    def level() -> Trust:
        with world.ledger.read() as tx:
            record = tx.fact(ITALY)
        assert record is not None
        return trust(record.observed, RELATIONS[0].trust, Clocks(world.clock.now(), world.source.now))[0]

    world.set_statements("Q38", statement("Q38", "P36", "Q90"), age=timedelta(0))
    seen = []
    for step in (timedelta(0), timedelta(minutes=11), timedelta(hours=71)):
        world.pass_time(step)
        pull(world.run, world.source, RELATIONS)
        seen.append(level())
        assert world.believed("Q38", CAPITAL) == {"Q220"}
    world.set_statements("Q38", statement("Q38", "P36", "Q220"), age=timedelta(0))
    assert pull(world.run, world.source, RELATIONS).waiting == 0
    world.pass_time(timedelta(days=30))
    assert pull(world.run, world.source, RELATIONS).believed == 0
    assert seen == [Trust.OBSERVED, Trust.SETTLED, Trust.SETTLED]
    with world.ledger.read() as tx:
        record = tx.fact(ITALY)
    assert record is not None and record.believed_at is not None and record.believed_at < world.clock.now()
