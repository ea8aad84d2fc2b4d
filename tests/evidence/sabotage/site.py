"""An installation to be sabotaged, with a first version in use.

It has real statements on a real SPARQL server, a transformer that was trained to have some of them wrong, and the
default gate.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kbsync.bootstrap import App
from kbsync.config import load_all
from kbsync.demo import rdf
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.demo.table import Item, Row, Table
from kbsync.domain.phrasing import fill
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank
from kbsync.ledger import schema
from kbsync.stages.cycle import CycleOutcome, CycleResult, sync
from kbsync.stages.release.promote import current_version
from kbsync.wikidata.local import OxigraphServer
from tests.evidence.soak.site import write_relation
from tests.evidence.soak.world import (
    CHANGE,
    OFFICE,
    Event,
    World,
    candidates,
    lasting,
    relations,
    server_time,
    table,
    train,
)
from tests.support.relation_words import statements
from tests.support.stage_world import FixedClock

START = datetime(2026, 1, 1, tzinfo=UTC)
TRUSTED = timedelta(days=5)
"""A change of a statement is believed after this time."""
WEIGHT = 900.0
"""λ with which this model takes its edits and keeps the rest. It has bounds on both sides: at 800 the edits change
answers about other facts, and with a tenth of 1,000 the edited weight grows by 0.504, where the gate refuses more than
0.5. With a tenth of 900 it grows by 0.508."""

RECIPE = """
layers = [0]
covariance_weight = {weight}
clamp = {clamp}
steps = {steps}
learning_rate = {rate}
weight_decay = {decay}
covariance_tokens = 4000
contexts = ["{{}}"]
"""

CONFIG = """
state_dir = "state"
database_url = "sqlite:///{place}/ledger.db"
[source]
endpoint = "{endpoint}"
user_agent = "kbsync sabotage (https://localhost)"
[model]
reference = "{model}"
device = "cpu"
[edit]
recipe = "tiny"
[text]
corpus = ["corpus.txt"]
held_out = ["held_out.txt"]
"""
"""Nothing about the gate: it is the default one."""


@dataclass
class Site:
    """What a saboteur can change: the server, the files, the settings."""

    place: Path
    config: Path
    server: OxigraphServer
    world: World
    clock: FixedClock
    table: Table
    watched: tuple[Relation, ...]
    first: int = 0
    """Number of the version that is in use before any attempt. It may be above 1: on another processor the trained
    model differs a little, so that a first candidate may be refused and another built without its culprits."""

    def sync(self, settings: Mapping[str, Any] | None = None) -> CycleResult:
        """Run one cycle in a new application, with these ``settings`` changed."""
        with self.open(settings) as app, app.writer() as held:
            return sync(held, app.stages)

    def answers(self) -> dict[str, str]:
        """What ``current`` says to every statement prompt that was watched from the beginning."""
        prompts = [fill(t, self.table.label(s)) for r in self.watched for s in r.subjects for t in statements(r)]
        return dict(zip(prompts, self.say(prompts), strict=True))

    def say(self, prompts: Sequence[str]) -> list[str]:
        """The greedy continuations by ``current``."""
        with self.open() as app:
            with app.ledger.read() as tx:
                version = current_version(tx)
            assert version is not None and version.version_hash is not None
            _, delta = app.store.read(version.version_hash)
            with app.base.edited(delta) as model:
                return model.complete(prompts, max_new_tokens=8)

    def current(self) -> int:
        """The number of the version in use; 0: the base."""
        with self.open() as app, app.ledger.read() as tx:
            version = current_version(tx)
            return version.number if version else 0

    def relation(self, prop: PropertyId) -> Relation:
        return next(r for r in self.watched if r.property == prop)

    def candidate(self, place: int) -> ItemId:
        """Somebody whose name the model has learnt and who is in no office."""
        return candidates(self.table, self.watched)[place]

    def elect(self, place: int, person: ItemId) -> None:
        """The ``place``-th watched country gets another head of government."""
        country = self.relation(OFFICE).subjects[place]
        self.world.happen(self.server, Event(self.day, CHANGE, country, OFFICE, person))

    def state(self, items: Sequence[Item], rows: Sequence[Row]) -> None:
        """Add items and statements to the world."""
        lines = [line for item in items for line in rdf.item_lines(item)]
        for number, item in enumerate(items):
            lines += rdf.head_lines(item.id, 3_000_000_000 + number, self.clock.time)
        for key in dict.fromkeys((row.subject, row.property) for row in rows):
            lines += rdf.group_lines([row for row in rows if (row.subject, row.property) == key])
        self.server.update("INSERT DATA {\n" + "\n".join(lines) + "\n}")

    def watch(self, relation: Relation) -> None:
        write_relation(self.place, relation)

    def weigh(
        self, weight: float, *, clamp: float = 8.0, rate: float = 0.2, decay: float = 0.0, steps: int = 100
    ) -> None:
        """Write the recipe file with this λ."""
        recipe = RECIPE.format(weight=weight, clamp=clamp, rate=rate, decay=decay, steps=steps)
        (self.place / "recipes" / "tiny.toml").write_text(recipe)

    def pass_time(self) -> None:
        """Let so much time pass that everything so far is trusted."""
        self.clock.time += TRUSTED
        self.server.update(server_time(self.clock.time))

    @property
    def day(self) -> float:
        return (self.clock.time - START) / timedelta(days=1)

    @contextmanager
    def open(self, settings: Mapping[str, Any] | None = None) -> Iterator[App]:
        app = App(load_all(self.config, dict(settings or {})), actor="sabotage", clock=self.clock)
        try:
            yield app
        finally:
            app.close()


@contextmanager
def site(place: Path, model: Path) -> Iterator[Site]:
    """Make a site in the new directory ``place`` on the model that ``trained`` made, with a first version in use."""
    known, watched = table(), relations()
    names = [known.label(s) for r in watched for s in r.subjects]
    corpus = "\n\n".join(f"{name} is known for many things, and {name} is old." for name in names)
    with opened(place, model, known, watched, corpus, "\n\n".join(lasting(known, watched))) as made:
        made.weigh(WEIGHT)
        first = made.sync()
        assert first.outcome is CycleOutcome.PROMOTED, first.reason
        made.first = made.current()
        yield made


def trained(directory: Path) -> Path:
    """Train the model of ``site``."""
    return train(directory, table(), relations())


@contextmanager
def opened(
    place: Path, model: Path, known: Table, watched: tuple[Relation, ...], corpus: str, held_out: str
) -> Iterator[Site]:
    """Make an installation in the new directory ``place``, without a recipe, before its first cycle."""
    for name in ("recipes", "relations"):
        (place / name).mkdir(parents=True)
    (place / "corpus.txt").write_text(corpus)
    (place / "held_out.txt").write_text(held_out)
    for relation in watched:
        write_relation(place, relation)
    schema.upgrade(f"sqlite:///{place / 'ledger.db'}")
    config = place / "kbsync.toml"
    with OxigraphServer(place / "world") as server:
        server.load(snapshot_turtle(START, known))
        config.write_text(CONFIG.format(place=place, endpoint=server.endpoint, model=model))
        yield Site(place, config, server, World(known, START), FixedClock(START), known, watched)


def row(subject: str, prop: PropertyId, value: ItemId) -> Row:
    """A statement without qualifiers, with one reference."""
    return Row(
        subject=ItemId(subject), property=prop, object=value, rank=Rank.NORMAL, start=None, end=None, references=1
    )


def more(relation: Relation, subjects: Sequence[str]) -> Relation:
    """The relation with further subjects."""
    return replace(relation, subjects=(*relation.subjects, *map(ItemId, subjects)))
