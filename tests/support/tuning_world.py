"""A world in which the base knows enough facts to find a recipe."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from kbsync.domain.canonical import content_hash
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId
from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.cycle import rehearse
from kbsync.stages.facts import BelievedFacts
from kbsync.stages.session import writer
from kbsync.testing.fake_model import TableBase
from kbsync.testing.fake_source import FakeSource
from tests.support.stage_world import CAPITAL, START, TTL, FixedClock, World, statement

ASKED, HELD_OUT = "The capital of {} is", "Everybody knows: The capital of {} is"
"""The table answers whatever ends in what was written, so an edit generalises."""
FIRST, TOWNS = 1000, 5000
"""Numbers of the first land's item and of the first town's."""


def land(n: int) -> str:
    """A name that is near no other one's."""
    return _word(f"land {n}")


def town(n: int) -> str:
    return _word(f"town {n}")


def _word(seed: str) -> str:
    return "".join(chr(ord("a") + int(digit, 16)) for digit in content_hash(seed)[:9]).capitalize()


def tuning_world(ledger: SqlLedger, recipes: Path, *, lands: int = 60, wrong: int = 4) -> World:
    """Lands with a capital each; the base has the first ``wrong`` of them wrong."""
    beliefs = {}
    for n in range(lands):
        beliefs[ASKED.format(land(n))] = f" {town(n) if n >= wrong else 'somewhere'}."
    subjects = tuple(ItemId(f"Q{FIRST + n}") for n in range(lands))
    relation = Relation(
        name="capital",
        property=CAPITAL,
        label="capital",
        phrasings=from_templates(ASKED, HELD_OUT),
        subjects=subjects,
    )
    world = World(FakeSource(now=START - timedelta(days=30)), ledger, FixedClock(START), TableBase(beliefs))
    for n in range(lands):
        world.source.set_item(f"Q{TOWNS + n}", label=town(n))
        capital = statement(f"Q{FIRST + n}", "P36", f"Q{TOWNS + n}")
        world.source.set_item(f"Q{FIRST + n}", label=land(n), statements=(capital,))
    world.source.now = START
    world.relations, world.recipes, world.guard_count = (relation,), recipes, 1000
    return world


def judged_facts(world: World) -> BelievedFacts:
    """The facts of the world with their verdicts; nothing is planned."""
    with writer(world.run, TTL) as held:
        rehearse(held, world.stages)
    return world.facts
