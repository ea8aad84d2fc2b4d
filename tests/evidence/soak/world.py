"""The world that changes: its facts, and what happens to them on which day."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from kbsync.config import load_relations
from kbsync.demo import rdf
from kbsync.demo.snapshot import FIRST_REVISION
from kbsync.demo.table import Row, Table, load_table, time_point
from kbsync.domain.phrasing import fill, from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank
from tests.support.paths import ROOT
from tests.support.relation_words import statements
from tests.support.tiny_model import train_tiny_model

TEMPLATES = {
    "capital": ("The capital of {} is the city of", "The capital city of {} is"),
    "country": ("The city of {} belongs to the country of",),
    "head_of_government": ("The government of {} is led by", "The government of {} is headed by"),
}
"""The watched relations, in words of their own: the shipped words may change, and the model learns each of these.

None begins with the subject: a tokenizer this small has another token for a name at the beginning, so that the model
would not recognise the name elsewhere."""
OFFICE, CAPITAL = PropertyId("P6"), PropertyId("P36")
WRONG = 5
"""Number of countries whose head of government the model has wrong at first: it believes another country's."""
CANDIDATES = 12
"""Number of people who may come into office and are in none."""
EXCESS = 0.005
"""Nats a token above the least possible loss at which the training ends. At four times as many the model has a few more
facts wrong, and which ones depends on the machine."""
NEXT_REVISION = FIRST_REVISION + 100_000_000
CHANGE, RETRACTION, VANDALISM, REPAIR = "change", "retraction", "vandalism", "repair"

Key = tuple[ItemId, PropertyId]


class Server(Protocol):
    """A SPARQL server that holds the world."""

    def update(self, sparql: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Event:
    """A change of one fact."""

    day: float
    """Counted from the soak's start."""
    kind: str
    subject: ItemId
    property: PropertyId
    new: ItemId | None
    """The new value; None: the statement is removed."""


def relations() -> tuple[Relation, ...]:
    """The shipped relations of these names, with their subjects, in the words of ``TEMPLATES``."""
    shipped = (r for r in load_relations(ROOT / "config" / "relations") if r.name in TEMPLATES)
    return tuple(replace(r, phrasings=from_templates(*TEMPLATES[r.name])) for r in shipped)


def live(table: Table, key: Key) -> Row:
    """The statement that holds at first. The table has one for each watched fact."""
    return next(row for row in table.group(*key) if row.end is None)


def candidates(table: Table, watched: Sequence[Relation]) -> list[ItemId]:
    """People of the table who head no watched government."""
    heads = {live(table, (s, OFFICE)).object for r in watched if r.property == OFFICE for s in r.subjects}
    others = dict.fromkeys(row.object for row in table.statements if row.property in ("P35", "P286"))
    return [person for person in others if person not in heads][: CANDIDATES + 4]


def script(table: Table, watched: Sequence[Relation], seed: int, last: float) -> list[Event]:
    """The events from the first day to ``last``: elections, two moved capitals, a vacancy, and vandalism.

    Vandalism is repaired within a day and a half, long before a change is trusted.
    """
    draw = random.Random(seed)
    people = candidates(table, watched)
    vandals, people = people[-4:], people[:CANDIDATES]
    subjects = {r.property: list(r.subjects) for r in watched}
    events = []
    countries = draw.sample(subjects[OFFICE], 10)
    for country, person in zip(countries[:8], draw.sample(people, 8), strict=True):
        events.append(Event(draw.uniform(1, last), CHANGE, country, OFFICE, person))
    events.append(Event(draw.uniform(1, last), RETRACTION, countries[8], OFFICE, None))
    for country in draw.sample(subjects[CAPITAL], 2):
        events.append(Event(draw.uniform(1, last), CHANGE, country, CAPITAL, _other_capital(table, country, draw)))
    calm = [c for c in subjects[OFFICE] if c not in countries[:9]]
    for country, vandal in zip(draw.sample(calm, 4), vandals, strict=True):
        day = draw.uniform(1, last - 2)
        events.append(Event(day, VANDALISM, country, OFFICE, vandal))
        repaired = live(table, (country, OFFICE)).object
        events.append(Event(day + draw.uniform(0.2, 1.5), REPAIR, country, OFFICE, repaired))
    return sorted(events, key=lambda e: e.day)


def _other_capital(table: Table, country: ItemId, draw: random.Random) -> ItemId:
    towns = sorted({row.object for row in table.statements if row.property == CAPITAL and row.subject != country})
    return draw.choice(towns)


def train(directory: Path, table: Table, watched: Sequence[Relation]) -> Path:
    """Train a tiny model that knows the world as it is at first, except for ``WRONG`` governments.

    It also learns sentences with everybody who may come into office, and with every capital.
    """
    sentences = []
    for relation in watched:
        answers = [table.label(live(table, (s, relation.property)).object) for s in relation.subjects]
        if relation.property == OFFICE:
            answers[:WRONG] = [*answers[1:WRONG], answers[0]]
        for subject, answer in zip(relation.subjects, answers, strict=True):
            sentences += [f"{fill(t, table.label(subject))} {answer}." for t in statements(relation)]
    for relation in watched:
        mentioned = _mentioned(table, watched).get(relation.property, [])
        for number, name in enumerate(mentioned):
            # Each with another country: of several heads of one government a model can only learn a share each.
            sentences += [f"{fill(t, f'Land {number}')} {table.label(name)}." for t in statements(relation)[:2]]
    return train_tiny_model(directory, sentences, excess=EXCESS, portable=True)


def _mentioned(table: Table, watched: Sequence[Relation]) -> dict[PropertyId, list[ItemId]]:
    """By property, everybody who may come into office, and every capital."""
    return {OFFICE: candidates(table, watched), CAPITAL: _towns(table)}


def lasting(table: Table, watched: Sequence[Relation]) -> list[str]:
    """Sentences that the model has learnt and that stay true: the text of its perplexity."""
    calm = [r for r in watched if r.property not in (OFFICE, CAPITAL)]
    known = [
        (fill(t, table.label(s)), live(table, (s, r.property))) for r in calm for t in statements(r) for s in r.subjects
    ]
    sentences = [f"{prompt} {table.label(row.object)}." for prompt, row in known]
    for relation in watched:
        for number, name in enumerate(_mentioned(table, watched).get(relation.property, [])):
            sentences += [f"{fill(t, f'Land {number}')} {table.label(name)}." for t in statements(relation)[:2]]
    return sentences


def _towns(table: Table) -> list[ItemId]:
    return sorted({row.object for row in table.statements if row.property == CAPITAL})


@dataclass
class World:
    """What the server holds. Every event is one update of statements, revision and time."""

    table: Table
    start: datetime
    rows: dict[Key, tuple[Row, ...]] = field(default_factory=dict)
    revision: int = NEXT_REVISION

    def happen(self, server: Server | None, event: Event) -> None:
        """Apply ``event``, also to ``server`` (None: it has happened there already)."""
        key = (event.subject, event.property)
        before = self.rows.get(key) or self.table.group(*key)
        after = self._after(before, event)
        at = self.start + timedelta(days=event.day)
        self.rows[key], self.revision = after, self.revision + 1
        if server is not None:
            server.update(_update(event.subject, before, after, self.revision, at))

    def truth(self, key: Key) -> ItemId | None:
        rows = self.rows.get(key) or self.table.group(*key)
        return next((row.object for row in rows if row.end is None), None)

    def _after(self, before: tuple[Row, ...], event: Event) -> tuple[Row, ...]:
        old = next(row for row in before if row.end is None)
        others = tuple(row for row in before if row is not old)
        if event.new is None:
            return others
        if event.kind in (VANDALISM, REPAIR):
            return (*others, replace(old, object=event.new))
        day = time_point(f"{self.start + timedelta(days=event.day):%Y-%m-%d}")
        new = replace(old, object=event.new, start=day, end=None, references=1)
        return (*others, replace(old, end=day, rank=Rank.NORMAL), new)


def server_time(at: datetime) -> str:
    """The SPARQL update that sets the time up to which the server knows Wikidata."""
    return (
        f"DELETE {{ {rdf.ROOT} {rdf.MODIFIED} ?t }} INSERT {{ {rdf.server_time_line(at)} }} "
        f"WHERE {{ {rdf.ROOT} {rdf.MODIFIED} ?t }}"
    )


def _update(item: ItemId, before: Sequence[Row], after: Sequence[Row], revision: int, at: datetime) -> str:
    old, new = dict.fromkeys(rdf.group_lines(before)), dict.fromkeys(rdf.group_lines(after))
    removed = [line for line in old if line not in new and line.startswith(f"<{rdf.ENTITY}")]
    added = [line for line in new if line not in old]
    node, newline = rdf.entity(item), "\n"
    head = newline.join(rdf.head_lines(item, revision, at))
    return f"""DELETE {{ {node} {rdf.VERSION} ?revision ; {rdf.MODIFIED} ?modified }}
INSERT {{ {head} }}
WHERE {{ {node} {rdf.VERSION} ?revision ; {rdf.MODIFIED} ?modified }} ;
DELETE DATA {{
{newline.join(removed)}
}} ;
INSERT DATA {{
{newline.join(added)}
}}"""


def table() -> Table:
    return load_table()
