"""A vandal who may do anything to the source, but is reverted within half the trust time, at any moments he likes.

Each history is one watched item with its objects. Many of them share a ledger, the moments of its pulls and the faults
of the clocks. What was never an honest state must never be believed, and at the end the last honest state must be.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from kbsync.domain.errors import SourceError
from kbsync.domain.fact import FactKey
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, Labels, Rank, Statement
from kbsync.domain.verdict import VerdictKind
from kbsync.ledger.ledger import SqlLedger
from kbsync.stages.probe import probe
from kbsync.stages.pull.names import LABELS_REFRESH
from kbsync.stages.pull.pull import pull
from kbsync.testing.fake_model import TableBase
from kbsync.testing.fake_source import FakeSource
from tests.evidence.hardening.parts import Measured
from tests.support.sqlite_ledger import empty_ledger
from tests.support.stage_world import CAPITAL, START, FixedClock, World, statement

HISTORIES, TOGETHER = 10_000, 500
HOUR = timedelta(hours=1)
TRUST = 72
"""Hours of the trust time; every act of the vandal is over in less than half of them."""
VANDALISED = 5 * TRUST
"""Hours in which the vandal and honest people are at work."""
CALM = TRUST // 2 + int(LABELS_REFRESH / HOUR) + TRUST
"""Hours after them until everything honest must be believed."""
ACTS = (
    "value",
    "preferred",
    "deprecate",
    "retract",
    "end",
    "start",
    "delete",
    "merge",
    "rename",
    "rename object",
    "alias of object",
    "merge object",
)
MALLORY = "Mallory"
"""What the vandal calls everything, and what the base answers to every question."""


class Act(NamedTuple):
    """Something that the vandal does, and that is reverted."""

    kind: str
    """One of ``ACTS``."""
    at: float
    """Hours since the beginning."""
    lasts: float
    """Hours, fewer than half the trust time."""
    ahead: float = 0.0
    """By so many hours the revision is dated ahead."""


class Edit(NamedTuple):
    """Something honest."""

    kind: str
    """``value``, ``retract``, ``rename``, ``rename object`` or ``touch``, which changes nothing that is watched."""
    at: float


class Look(NamedTuple):
    """One pull."""

    at: float
    here: float = 0.0
    """By so many hours this machine's clock is wrong."""
    there: float = 0.0
    """By so many hours the source's time is wrong."""


@dataclass(frozen=True, slots=True)
class History:
    """What happens to one item."""

    acts: tuple[Act, ...]
    edits: tuple[Edit, ...]


@dataclass(slots=True)
class Outcome:
    """What came of some histories."""

    histories: int = 0
    believed: list[str] = field(default_factory=list)
    """What of the vandal's was believed, one entry at most for each history."""
    changes: int = 0
    """Honest edits that changed something."""
    missed: list[str] = field(default_factory=list)
    """What was honest at the end and is not believed."""


class Item:
    """One watched item, its objects, and the vandal's bait, in a source."""

    def __init__(self, number: int, history: History) -> None:
        self.subject, self.bait = f"Q{number * 10 + 1}", f"Q{number * 10 + 9}"
        self.objects = [f"Q{number * 10 + n}" for n in (2, 3, 4)]
        self.history = history
        self.label, self.value = f"Land {number}", 0
        self.names = [f"Town {number}.{n}" for n in range(3)]
        self.values: set[frozenset[str]] = set()
        """Every honest state of the values."""
        self.called: dict[str, set[str | None]] = {}
        """Every honest name, by item."""

    def events(self) -> list[tuple[float, Act | Edit | None]]:
        """Everything that happens to it, in order; None: reverted."""
        found: list[tuple[float, Act | Edit | None]] = [(edit.at, edit) for edit in self.history.edits]
        found += [(act.at, act) for act in self.history.acts]
        found += [(act.at + act.lasts, None) for act in self.history.acts]
        return sorted(found, key=lambda event: event[0])

    @property
    def honest(self) -> frozenset[str]:
        """The values that hold by honest statements."""
        return frozenset() if self.value < 0 else frozenset({self.objects[self.value % 3]})

    def statements(self) -> list[Statement]:
        """The honest ones; a retracted value is said to have ended."""
        old = statement(self.subject, CAPITAL, self.objects[0], end="2001-01-01")
        return [statement(self.subject, CAPITAL, value) for value in self.honest] or [old]

    def restore(self, source: FakeSource) -> None:
        """Make everything as honest people have it, where it is not."""
        self.values.add(self.honest)
        self._put(source, self.subject, self.label, self.statements())
        for item, name in zip(self.objects, self.names, strict=True):
            self._put(source, item, name)

    def _put(self, source: FakeSource, item: str, label: str, statements: Sequence[Statement] = ()) -> None:
        self.called.setdefault(item, {None}).add(label)
        known = source.items.get(ItemId(item))
        same = known is not None and known.redirect_to is None and (known.label, known.aliases) == (label, ())
        if not same or known is None or list(known.statements) != list(statements):
            source.set_item(item, label=label, statements=statements)

    def edit(self, kind: str, source: FakeSource) -> None:
        """Do something honest, and revert what the vandal did by the way."""
        if kind == "value":
            self.value = abs(self.value) + 1
        elif kind == "retract":
            self.value = -abs(self.value) - 1
        elif kind == "rename":
            self.label += "a"
        elif kind == "rename object":
            self.names[abs(self.value) % 3] += "b"
        self.restore(source)
        if kind == "touch":
            source.set_item(self.subject, label=self.label, statements=self.statements())

    def vandalise(self, kind: str, source: FakeSource, hour: float) -> None:
        """Do what the vandal does."""
        false, now = statement(self.subject, CAPITAL, self.bait, refs=5), START + hour * HOUR
        own = self.statements()
        worse = statement(self.subject, CAPITAL, next(iter(self.honest), self.objects[1]), rank=Rank.DEPRECATED)
        begins = statement(
            self.subject, CAPITAL, self.bait, rank=Rank.PREFERRED, start=(now + 5 * HOUR).strftime("%Y-%m-%dT%H:%M:%SZ")
        )
        ended = [statement(self.subject, CAPITAL, v, end="2020-01-01") for v in self.honest]
        statements = {
            "value": [false],
            "preferred": [*own, statement(self.subject, CAPITAL, self.bait, rank=Rank.PREFERRED)],
            "deprecate": [worse, false],
            "retract": [],
            "end": ended,
            "start": [*own, begins],
        }
        thing = self.objects[abs(self.value) % 3]
        if kind in statements:
            source.set_item(self.subject, label=self.label, statements=statements[kind])
        elif kind == "delete" and self.subject in source.items:
            source.delete(self.subject)
        elif kind.startswith("merge"):
            source.redirect(thing if kind == "merge object" else self.subject, self.bait)
        elif kind == "rename":
            source.set_item(self.subject, label=MALLORY, statements=own)
        elif kind == "rename object":
            source.set_item(thing, label=MALLORY)
        elif kind == "alias of object":
            source.set_item(thing, label=self.names[abs(self.value) % 3], aliases=[MALLORY])


def play(ledger: SqlLedger, histories: Sequence[History], looks: Sequence[Look], *, remembers: bool) -> Outcome:
    """Let histories happen, pull at the given moments, and compare what is believed with what was ever honest.

    Args:
        ledger: An empty one.
        looks: In order. The last one decides what was missed.
        remembers: The source knows the history of its items.
    """
    items = [Item(n, history) for n, history in enumerate(histories, start=1)]
    source = FakeSource(now=START - 60 * 24 * HOUR)
    source.remembers = remembers
    for item in items:
        bait = statement(item.bait, CAPITAL, item.bait, refs=5)
        source.set_item(item.bait, label=MALLORY, statements=[bait])
        item.restore(source)
    relation = Relation(
        name="capital",
        property=CAPITAL,
        label="capital",
        phrasings=from_templates("The capital of {} is"),
        subjects=tuple(ItemId(item.subject) for item in items),
    )
    world = World(source, ledger, FixedClock(START), TableBase({"is": f" {MALLORY}."}), relations=(relation,))
    outcome = Outcome(histories=len(items), changes=sum(e.kind != "touch" for h in histories for e in h.edits))
    caught: dict[str, str] = {}
    queue = sorted(((at, n, event) for n, i in enumerate(items) for at, event in i.events()), key=lambda e: e[:2])
    for look in looks:
        while queue and queue[0][0] <= look.at:
            at, number, event = queue.pop(0)
            _happen(items[number], event, source, at)
        _look(world, look)
        for what, item in _false_beliefs(world, items):
            caught.setdefault(item.subject, f"after {look.at:.1f} h {what}: {item.history}")
    outcome.believed = list(caught.values())
    outcome.missed = [f"{what}: {item.history}" for what, item in _missed(world, items)]
    return outcome


def _happen(item: Item, event: Act | Edit | None, source: FakeSource, hour: float) -> None:
    source.now = START + hour * HOUR
    if isinstance(event, Act):
        source.now += event.ahead * HOUR
        item.vandalise(event.kind, source, hour)
    elif isinstance(event, Edit):
        item.edit(event.kind, source)
    else:
        item.restore(source)


def _look(world: World, look: Look) -> None:
    now = START + look.at * HOUR
    world.clock.time, world.source.now = now + look.here * HOUR, now + look.there * HOUR
    try:
        pull(world.run, world.source, world.relations, accept_deletions=True)
    except SourceError:  # it is refused as behind or as ahead
        return
    probe(world.run, world.base, world.facts, world.relations, answer_tokens=10)


def _false_beliefs(world: World, items: Sequence[Item]) -> Iterable[tuple[str, Item]]:
    """What is believed, judged or planned though it never was an honest state."""
    facts, labels = _state(world, items)
    right = {key for key, verdict in world.facts.verdicts.items() if verdict.kind is VerdictKind.CURRENT}
    for item in items:
        believed = facts.get(FactKey(ItemId(item.subject), CAPITAL))
        if believed is not None and believed not in item.values:
            yield f"believed {sorted(believed)}", item
        for name, honest in item.called.items():
            entry = labels.get(ItemId(name))
            if entry and (entry.label not in honest or entry.aliases):
                yield f"{name} is called {entry}", item
        if FactKey(ItemId(item.subject), CAPITAL) in right:
            yield "the base is right, by a name of the vandal's", item


def _missed(world: World, items: Sequence[Item]) -> Iterable[tuple[str, Item]]:
    facts, labels = _state(world, items)
    for item in items:
        believed = facts.get(FactKey(ItemId(item.subject), CAPITAL))
        if believed != item.honest:
            yield f"{believed} is believed, {item.honest} is right", item
        named = {item.subject: item.label}
        if item.value >= 0:
            named[item.objects[item.value % 3]] = item.names[item.value % 3]
        for name, label in named.items():
            entry = labels.get(ItemId(name))
            if entry is None or entry.label != label:
                yield f"{name} is called {entry}, {label} is right", item


def _state(world: World, items: Sequence[Item]) -> tuple[dict[FactKey, frozenset[str]], dict[ItemId, Labels]]:
    with world.ledger.read() as tx:
        records = tx.facts(CAPITAL)
        labels = tx.labels([ItemId(name) for item in items for name in item.called])
    return {r.key: frozenset(v.text for v in r.believed.values) for r in records if r.believed}, labels


def drawn(chance: random.Random) -> History:
    """A random history; acts may follow each other at once."""
    acts, hour = [], chance.uniform(-TRUST / 2, TRUST)
    while hour < VANDALISED:
        lasts = chance.choice([chance.uniform(0.01, 3), chance.uniform(0.01, TRUST / 2 - 0.01)])
        ahead = chance.choice([0.0, 0.0, 0.0, chance.uniform(0, 20), 24.0 * 3650])
        acts.append(Act(chance.choice(ACTS), hour, lasts, ahead))
        hour += lasts + chance.choice([0.001, chance.uniform(0, 4), chance.expovariate(1 / 40)])
    edits = [Edit(chance.choice(EDITS), chance.uniform(0, VANDALISED)) for _ in range(chance.randint(0, 3))]
    return History(tuple(acts), tuple(sorted(edits, key=lambda e: e.at)))


EDITS = ("value", "value", "retract", "rename", "rename object", "touch")


def looks(chance: random.Random, histories: Sequence[History] = ()) -> list[Look]:
    """Random pulls, one clock of which may be wrong; some come right after an act, and before its end."""
    moments = [
        act.at + 0.005 for history in histories for act in chance.sample(history.acts, min(1, len(history.acts)))
    ]
    hour, found = 0.0, [Look(0.0)]
    while hour < VANDALISED:
        hour += chance.uniform(2, 34)
        wrong = chance.choice([0.0, 0.0, 0.0, chance.uniform(-240, 240)])
        found.append(Look(hour, **{chance.choice(["here", "there"]): wrong}))
    found += [Look(at) for at in chance.sample(moments, min(6, len(moments))) if at > 0]
    last = VANDALISED + TRUST / 2
    calm = [Look(last + CALM * share) for share in (0.0, 0.3, 0.62, 0.8, 1.0, 1.2)]
    return sorted(found) + calm


def measure(seed: int, histories: int = HISTORIES, together: int = TOGETHER) -> Measured:
    """Play random histories, with sources that know the history of their items and with others in turn."""
    total = Outcome()
    with tempfile.TemporaryDirectory(prefix="kbsync-vandal-") as directory:
        for number, start in enumerate(range(0, histories, together)):
            chance = random.Random(f"{seed} {number}")
            chosen = [drawn(chance) for _ in range(min(together, histories - start))]
            ledger = SqlLedger(empty_ledger(Path(directory) / f"{number}.sqlite3"))
            outcome = play(ledger, chosen, looks(chance, chosen), remembers=bool(number % 2))
            ledger.close()
            total.histories += outcome.histories
            total.changes += outcome.changes
            total.believed += outcome.believed
            total.missed += outcome.missed
    figures = {
        "vandal.histories": total.histories,
        "vandal.believed": len(total.believed),
        "honest.missed": len(total.missed),
    }
    details: dict[str, Any] = {"honest changes": total.changes, "first": (total.believed + total.missed)[:3]}
    return Measured(figures=figures, details=details)
