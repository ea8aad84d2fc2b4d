"""A refused batch is searched, its culprits go into quarantine with the evidence, and the rest goes live in the same
cycle."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

import pytest

from kbsync.domain.fact import FactKey
from kbsync.domain.gate import Threshold
from kbsync.domain.phrasing import fill, from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.domain.version import VersionState
from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.cycle import CycleOutcome, CycleResult
from kbsync.stages.release.promote import current_number
from kbsync.stages.release.quarantine import free_fact
from kbsync.testing.fake_model import TableBase
from kbsync.testing.fake_source import FakeSource
from tests.support.stage_world import START, FixedClock, World, statement

RIGHT, WRONG, FEW = 60, 200, 24
TEMPLATE = "The seat of {} is"
SEAT = PropertyId("P159")
SUBJECTS = [f"Q{1000 + i}" for i in range(RIGHT + WRONG)]


def relation(subjects: Sequence[str]) -> Relation:
    asked = tuple(map(ItemId, subjects))
    return Relation(
        name="seat", property=SEAT, label="seat", phrasings=from_templates(TEMPLATE, "{} sits in"), subjects=asked
    )


def prompt(index: int) -> str:
    return fill(TEMPLATE, f"house {index}.")


def make(ledger: SqlLedger, wrong: int) -> World:
    """Sixty facts that the base has right, then ``wrong`` that it has wrong."""
    subjects = SUBJECTS[: RIGHT + wrong]
    base = TableBase({prompt(i): f" town {i}" for i in range(RIGHT)})
    world = World(FakeSource(now=START), ledger, FixedClock(START), base, relations=(relation(subjects),))
    world.source.now = START - timedelta(days=30)
    for i, subject in enumerate(subjects):
        world.source.set_item(f"Q{5000 + i}", label=f"town {i}")
        held = statement(subject, SEAT, f"Q{5000 + i}")
        world.source.set_item(subject, label=f"house {i}.", statements=[held])
    world.source.now = START
    world.gate = (Threshold(metric="efficacy", at_least=0.9), Threshold(metric="specificity", at_least=0.95))
    return world


@pytest.fixture
def crowd(ledger: SqlLedger) -> World:
    return make(ledger, WRONG)


@pytest.fixture
def few(ledger: SqlLedger) -> World:
    return make(ledger, FEW)


def plant(world: World, seed: int, count: int = 3) -> set[int]:
    """Facts whose edit makes a fifth of what the base has right wrong."""
    source = random.Random(seed)
    planted = source.sample(range(RIGHT, len(world.relations[0].subjects)), count)
    for index in planted:
        lost = source.sample(range(RIGHT), RIGHT // 5)
        world.base.harm[prompt(index)] = {prompt(i): " nowhere" for i in lost}
    return set(planted)


def quarantined(world: World) -> dict[int, str]:
    with world.ledger.read() as tx:
        return {SUBJECTS.index(key.subject): entry.reason for key, entry in tx.quarantine().items()}


def current(world: World) -> int:
    with world.ledger.read() as tx:
        return current_number(tx)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_three_planted_culprits_among_two_hundred_are_found_and_the_rest_goes_live(crowd: World, seed: int) -> None:
    planted = plant(crowd, seed)
    result = crowd.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert crowd.editor.calls - 2 <= 40, "the batch, the trials, and the batch without the culprits"
    found = quarantined(crowd)
    assert set(found) == planted == {SUBJECTS.index(key.subject) for key in result.quarantined}
    assert all("version 1 was refused (specificity is" in reason for reason in found.values())
    assert len(result.planned.plan.requests) == WRONG - 3
    with crowd.ledger.read() as tx:
        assert [v.state for v in tx.versions()] == [VersionState.REFUSED, VersionState.PROMOTED]
        kinds = [e.kind for e in tx.audit()]
        (event,) = [e for e in tx.audit() if e.kind == "bisect"]
    assert kinds[2:] == ["plan", "edit", "evaluate", "bisect", "plan", "edit", "evaluate", "promote"]
    assert len(event.body["trials"]) == crowd.editor.calls - 2
    assert len(event.body["culprits"]) == 3
    assert crowd.sync().outcome is CycleOutcome.NOTHING


def test_a_culprit_among_new_facts_is_found_beside_those_that_current_holds(few: World) -> None:
    few.max_facts = 16
    assert few.sync().outcome is CycleOutcome.PROMOTED
    few.max_facts = 1000
    with few.ledger.read() as tx:
        held = tx.versions()[0].plan_hash
        kept = {r.key.subject for r in tx.plan(held).requests} if tx.plan(held) else set()  # type: ignore[union-attr]
    new = next(i for i in range(RIGHT, RIGHT + FEW) if SUBJECTS[i] not in kept)
    few.base.harm[prompt(new)] = {prompt(i): " nowhere" for i in range(10)}
    built = few.editor.calls
    assert few.sync().outcome is CycleOutcome.PROMOTED
    assert set(quarantined(few)) == {new}
    assert few.editor.calls - built <= 2 + (1 + 3 + 1) + 1, "two builds, the search, and the trial that convicts"
    assert current(few) == 3


def test_a_culprit_is_tried_again_when_its_value_changes(few: World) -> None:
    (planted,) = plant(few, 5, count=1)
    few.sync()
    few.base.harm = {}
    few.pass_time(timedelta(days=10))
    few.source.now -= timedelta(days=5)
    changed = statement(SUBJECTS[planted], SEAT, "Q5001")
    few.source.set_item(SUBJECTS[planted], label=f"house {planted}.", statements=[changed])
    few.source.now = few.clock.time
    result = few.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert len(result.planned.plan.requests) == FEW


@pytest.mark.slow
def test_a_culprit_is_tried_again_when_a_person_says_so(few: World) -> None:
    (planted,) = plant(few, 5, count=1)
    few.sync()
    few.base.harm = {}
    key = FactKey(ItemId(SUBJECTS[planted]), SEAT)
    assert free_fact(few.run, key, "checked by hand").already is False
    assert free_fact(few.run, key, "checked by hand").already is True
    result = few.sync()
    assert result.outcome is CycleOutcome.PROMOTED
    assert len(result.planned.plan.requests) == FEW
    with few.ledger.read() as tx:
        (event,) = [e for e in tx.audit() if e.kind == "quarantine"]
    assert event.body["reason"] == "checked by hand"


def refused_again(world: World, day: int) -> CycleResult:
    """One more day, one more house that the base has wrong."""
    world.pass_time(timedelta(days=1))
    extra = f"Q{9000 + day}"
    world.source.now -= timedelta(days=30)
    world.source.set_item(extra, label=f"hall {day}.", statements=[statement(extra, SEAT, "Q5000")])
    world.source.now = world.clock.time
    world.relations = (relation([*world.relations[0].subjects, extra]),)
    return world.sync()


@pytest.mark.slow
def test_refusals_in_a_row_wait_longer_and_longer(few: World) -> None:
    few.base.damage = {prompt(i): " nowhere" for i in range(10)}
    few.pause = timedelta(days=2)
    assert few.sync().outcome is CycleOutcome.REFUSED
    assert refused_again(few, 1).outcome is CycleOutcome.REFUSED
    waiting = refused_again(few, 2)
    assert waiting.outcome is CycleOutcome.HELD
    assert "2 refusals in a row" in waiting.reason
    few.pass_time(timedelta(days=1))
    assert few.sync().outcome is CycleOutcome.REFUSED
    few.pass_time(timedelta(days=2))
    assert "3 refusals in a row" in refused_again(few, 3).reason
    few.base.damage = {}
    few.pass_time(timedelta(days=1))
    assert few.sync().outcome is CycleOutcome.PROMOTED
    assert current(few) > 0
