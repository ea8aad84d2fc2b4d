"""Many facts of one relation, some of which do harm when they are edited."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta

from kbsync.domain.gate import Threshold
from kbsync.domain.phrasing import fill, from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger.ledger import SqlLedger
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


def make_crowd(ledger: SqlLedger, wrong: int) -> World:
    """Sixty facts that the base has right, and then ``wrong`` facts that it has wrong."""
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


def plant(world: World, seed: int, count: int = 3) -> set[int]:
    """Facts whose edit makes a fifth of the base's right answers wrong."""
    source = random.Random(seed)
    planted = source.sample(range(RIGHT, len(world.relations[0].subjects)), count)
    for index in planted:
        lost = source.sample(range(RIGHT), RIGHT // 5)
        world.base.harm[prompt(index)] = {prompt(i): " nowhere" for i in lost}
    return set(planted)
