"""The small world of the stages with a second hop: the spouses of heads of government."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from kbsync.domain.phrasing import Form, Phrasing, Use
from kbsync.domain.relation import Implied, Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.binding import Stages, StageSettings
from kbsync.stages.cycle import CycleResult, sync
from kbsync.stages.session import writer
from tests.support.stage_world import BELIEFS, LABELS, RELATIONS, START, TTL, World, WorldSite, make_world, statement

SPOUSE = PropertyId("P26")
ERNST, VINCENT, BRITTA, SAUER = "Q9001", "Q9002", "Q9003", "Q9004"
NAMES = {ERNST: "Britta Ernst", VINCENT: "Vincent Borne", BRITTA: "Sandra Castex", SAUER: "Joachim Sauer"}
SCHOLZ, CASTEX, ELISABETH = "Q61053", "Q3052772", "Q30333"
ASKED = "The spouse of the head of government of {} is"
HELD_OUT = "At banquets, the leader of {} sits beside"

IMPLIED = Implied("spouse", (Phrasing(ASKED), Phrasing(HELD_OUT, Form.STATEMENT, Use.HELD_OUT)))
IMPLYING = (
    RELATIONS[0],
    replace(RELATIONS[1], implies=(IMPLIED,)),
    Relation(
        name="spouse",
        property=SPOUSE,
        label="spouse",
        phrasings=(Phrasing("{} is married to"),),
        subjects=tuple(map(ItemId, (SCHOLZ, CASTEX, ELISABETH))),
    ),
)
MARRIED = {SCHOLZ: ERNST, CASTEX: BRITTA, ELISABETH: VINCENT}


class TwoHopWorld(World):
    """A world that plans consequences, until it is told not to."""

    consequences = True

    @property
    def settings(self) -> StageSettings:
        settings = super().settings
        return replace(settings, plan=replace(settings.plan, consequences=self.consequences))

    @property
    def stages(self) -> Stages:
        return Stages(WorldSite(self), self.settings)

    def sync(self) -> CycleResult:
        with writer(self.run, TTL) as held:
            return sync(held, self.stages)

    def marry(self, person: str, *spouses: str, age: timedelta = timedelta(days=30), label: str = "") -> None:
        """Give a person these spouses, by an edit made ``age`` ago."""
        self.source.now = self.clock.time - age
        for spouse in spouses:
            self.source.set_item(spouse, label=label or NAMES[spouse])
        statements = [statement(person, SPOUSE, spouse) for spouse in spouses]
        self.source.set_item(person, label=LABELS[person], statements=statements)
        self.source.now = self.clock.time


def two_hop_world(ledger: SqlLedger) -> TwoHopWorld:
    """The base knows whom the heads of government are married to; Germany's is outdated, France's unknown to it."""
    beliefs = BELIEFS | {f"{LABELS[person]} is married to": f" {NAMES[spouse]}." for person, spouse in MARRIED.items()}
    plain = make_world(ledger, beliefs)
    world = TwoHopWorld(plain.source, plain.ledger, plain.clock, plain.base, relations=IMPLYING)
    for person, spouse in MARRIED.items():
        world.marry(person, spouse)
    assert world.clock.time == START
    return world
