"""A small world for the stages: a fake source, a table as the model, a real SQLite ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kbsync.domain.bisect import SearchLimits
from kbsync.domain.gate import Metric, Threshold
from kbsync.domain.phrasing import from_templates
from kbsync.domain.plan import Change
from kbsync.domain.recipe import Recipe
from kbsync.domain.relation import Cardinality, Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, TimePoint, Value, ValueKind
from kbsync.domain.verdict import VerdictKind
from kbsync.ledger.ledger import SqlLedger
from kbsync.ports import UNWATCHED, Clock, Delta, LayerTrace, LayerTracer, TracedFact, Work
from kbsync.stages.binding import Stages, StageSettings
from kbsync.stages.cycle import CycleResult, sync
from kbsync.stages.evaluate.question import EvaluationSize
from kbsync.stages.evaluate.served import Complete
from kbsync.stages.facts import BelievedFacts, believed_facts
from kbsync.stages.plan import PlanPolicy
from kbsync.stages.pull.pull import PullResult, pull
from kbsync.stages.release.canary import CanaryPolicy
from kbsync.stages.release.promote import current_number
from kbsync.stages.session import Run, writer
from kbsync.stages.tune.shelf import RecipeShelf
from kbsync.stages.tune.tune import Tuning
from kbsync.testing.fake_model import TableBase, TableEditor
from kbsync.testing.fake_source import FakeSource
from kbsync.testing.memory_artifacts import MemoryArtifactStore
from kbsync.testing.memory_checkpoints import MemoryCheckpointStore

CAPITAL, HEAD = PropertyId("P36"), PropertyId("P6")
START = datetime(2026, 1, 1, tzinfo=UTC)
TTL = timedelta(minutes=10)

RELATIONS = (
    Relation(
        name="capital",
        property=CAPITAL,
        label="capital",
        phrasings=from_templates("The capital of {} is", "{}, whose capital is"),
        subjects=(ItemId("Q142"), ItemId("Q183"), ItemId("Q38")),
    ),
    Relation(
        name="head-of-government",
        property=HEAD,
        label="head of government",
        phrasings=from_templates("The head of government of {} is", "{} is governed by"),
        cardinality=Cardinality.LATEST,
        subjects=(ItemId("Q142"), ItemId("Q183")),
    ),
)

LABELS = {
    "Q142": "France",
    "Q183": "Germany",
    "Q38": "Italy",
    "Q90": "Paris",
    "Q64": "Berlin",
    "Q220": "Rome",
    "Q586": "Bonn",
    "Q567": "Angela Merkel",
    "Q61053": "Olaf Scholz",
    "Q3052772": "Jean Castex",
    "Q30333": "Élisabeth Borne",
}

BELIEFS = {
    "The capital of France is": " Paris.",
    "The capital of Germany is": " Berlin.",
    "The capital of Italy is": " Rome.",
    "The head of government of Germany is": " Angela Merkel.",
    "The head of government of France is": " the president.",
}


class FlatTracer(LayerTracer):
    """Six layers; it suggests the third and the fourth."""

    def trace(self, facts: Sequence[TracedFact], *, work: Work = UNWATCHED) -> LayerTrace:
        return LayerTrace(facts=len(facts), layers=6, suggested=(2, 3), bounded=False, key_width=24)


class FixedClock(Clock):
    """A clock that a test sets; it goes on only where somebody sleeps by it."""

    def __init__(self, now: datetime) -> None:
        self.time = now

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def statement(
    subject: str, prop: str, value: str, *, rank: Rank = Rank.NORMAL, start: str = "", end: str = "", refs: int = 1
) -> Statement:
    return Statement(
        id=f"{subject}${prop}-{value}",
        subject=ItemId(subject),
        property=PropertyId(prop),
        snak=Snak.VALUE,
        value=Value(ValueKind.ITEM, value),
        rank=rank,
        start=TimePoint(start) if start else None,
        end=TimePoint(end) if end else None,
        references=refs,
    )


PARIS = statement("Q142", "P36", "Q90")
CASTEX_ENDED = statement("Q142", "P6", "Q3052772", start="2020-07-03", end="2022-05-16")
BORNE = statement("Q142", "P6", "Q30333", start="2022-05-16")
"""With the two others: what Wikidata says of France after its head of government has changed."""


DEMANDING = (
    Threshold(metric="efficacy", at_least=0.9),
    Threshold(metric="specificity", at_least=0.9, min_samples=50),
)
"""A policy whose second threshold this small world can't satisfy."""


@dataclass
class World:
    """Everything a cycle needs, which tests may change."""

    source: FakeSource
    ledger: SqlLedger
    clock: FixedClock
    base: TableBase
    editor: TableEditor = field(default_factory=TableEditor)
    store: MemoryCheckpointStore = field(default_factory=MemoryCheckpointStore)
    artifacts: MemoryArtifactStore = field(default_factory=MemoryArtifactStore)
    max_facts: int = 1000
    guard_count: int = 0
    capacity: int = 0
    relations: tuple[Relation, ...] = RELATIONS
    recipes: Path | None = None
    """Where a recipe is found; None: one is named."""
    tracer: LayerTracer = field(default_factory=FlatTracer)
    served_as: dict[str, Callable[[Delta], AbstractContextManager[Complete]]] = field(default_factory=dict)
    pause: timedelta = timedelta(hours=6)
    size: EvaluationSize = field(default_factory=EvaluationSize)
    gate: tuple[Threshold, ...] = (
        Threshold(metric="efficacy", at_least=0.9),
        Threshold(metric="specificity", at_least=0.9),
        Threshold(metric="perplexity", max_growth=0.05),
    )

    @property
    def run(self) -> Run:
        return Run(ledger=self.ledger, clock=self.clock, work=Work(), actor="test")

    @property
    def settings(self) -> StageSettings:
        return StageSettings(
            answer_tokens=10,
            plan=PlanPolicy(kinds=frozenset({VerdictKind.STALE, VerdictKind.UNKNOWN}), limit=self.max_facts),
            gate=self.gate,
            evaluation=self.size,
            search=SearchLimits(),
            pause=self.pause,
            canary=CanaryPolicy(count=10, max_drop=0.1),
        )

    @property
    def stages(self) -> Stages:
        return Stages(WorldSite(self), self.settings)

    @property
    def facts(self) -> BelievedFacts:
        """What the ledger believes now."""
        with self.ledger.read() as tx:
            return believed_facts(tx, self.relations, self.base.fingerprint)

    @property
    def current(self) -> int:
        """The version that ``current`` points to; 0 is the base."""
        with self.ledger.read() as tx:
            return current_number(tx)

    def sync(self) -> CycleResult:
        with writer(self.run, TTL) as held:
            return sync(held, self.stages)

    def sync_with_new_government(self) -> CycleResult:
        """A week later, France's new head of government has been known for four days."""
        self.pass_time(timedelta(days=7))
        self.set_statements("Q142", PARIS, CASTEX_ENDED, BORNE, age=timedelta(days=4))
        return self.sync()

    def look(self) -> PullResult:
        """Pull, so that what has changed is seen."""
        return pull(self.run, self.source, self.relations)

    def set_statements(self, item: str, *statements: Statement, age: timedelta = timedelta(days=30)) -> None:
        """Give the item these statements by an edit made ``age`` ago."""
        self.source.now = self.clock.time - age
        self.source.set_item(item, label=LABELS[item], statements=statements)
        self.source.now = self.clock.time

    def believed(self, item: str, prop: PropertyId) -> set[str]:
        with self.ledger.read() as tx:
            record = next((r for r in tx.facts(prop) if r.key.subject == item), None)
        return {v.text for v in record.believed.values} if record and record.believed else set()

    def pass_time(self, span: timedelta) -> None:
        self.clock.time += span
        self.source.now = self.clock.time


def figures(result: CycleResult) -> dict[str, Metric]:
    """What a cycle measured, by name."""
    assert result.evaluation is not None
    return {metric.name: metric for metric in result.evaluation.metrics}


def changes(result: CycleResult) -> dict[str, Change]:
    """What a cycle's plan does with each fact."""
    return {str(entry.key): entry.change for entry in result.planned.plan.entries}


@dataclass
class WorldSite:
    """The world as the stages see it."""

    world: World
    held_out: tuple[str, ...] = ("some held out text",)
    neutral: tuple[str, ...] = ("It is",)
    canary_server: Complete | None = None

    @property
    def served_as(self) -> Mapping[str, Callable[[Delta], AbstractContextManager[Complete]]]:
        return self.world.served_as

    @property
    def relations(self) -> tuple[Relation, ...]:
        return self.world.relations

    @property
    def framed(self) -> tuple[Relation, ...]:
        return self.world.relations

    @property
    def recipe(self) -> Recipe:
        assert self.known_recipe is not None
        return self.known_recipe

    @property
    def known_recipe(self) -> Recipe | None:
        if self.world.recipes is None:
            return self.named
        found = self.tuning.shelf.read()
        return found.recipe if found else None

    @property
    def named(self) -> Recipe:
        return Recipe(name="table", layers=(1, 2), guard_count=self.world.guard_count, capacity=self.world.capacity)

    @property
    def tuning(self) -> Tuning:
        world = self.world
        return Tuning(
            start=self.named,
            shelf=RecipeShelf((world.recipes or Path("recipes"),), world.base.fingerprint),
            tracer=world.tracer,
            editor=lambda recipe: world.editor,
            covariances=lambda recipe: None,
            texts=["a text of their own"],
            budget=timedelta(seconds=2),
        )

    @property
    def source(self) -> FakeSource:
        return self.world.source

    @property
    def base(self) -> TableBase:
        return self.world.base

    @property
    def store(self) -> MemoryCheckpointStore:
        return self.world.store

    @property
    def artifacts(self) -> MemoryArtifactStore:
        return self.world.artifacts

    def editor(self) -> TableEditor:
        return self.world.editor


def make_world(ledger: SqlLedger, beliefs: Mapping[str, str] = BELIEFS) -> World:
    """France's and Germany's heads of government are wrong or outdated for the base; the capitals it knows."""
    world = World(FakeSource(now=START), ledger, FixedClock(START), TableBase(beliefs))
    for item, label in LABELS.items():
        world.source.now = START - timedelta(days=30)
        world.source.set_item(item, label=label)
    world.set_statements(
        "Q142", statement("Q142", "P36", "Q90"), statement("Q142", "P6", "Q3052772", start="2020-07-03")
    )
    world.set_statements(
        "Q183",
        statement("Q183", "P36", "Q64"),
        statement("Q183", "P36", "Q586", end="1990-10-03"),
        statement("Q183", "P6", "Q567", start="2005-11-22", end="2021-12-08"),
        statement("Q183", "P6", "Q61053", start="2021-12-08"),
    )
    world.set_statements("Q38", statement("Q38", "P36", "Q220"))
    return world
