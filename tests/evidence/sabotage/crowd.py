"""Many new facts at once, three of which spoil the others.

A vandal has renamed the three subjects to words of the template, so that what is written for them acts in every prompt.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kbsync.demo.table import Item, Row, Table
from kbsync.domain.phrasing import fill, from_templates
from kbsync.domain.relation import Cardinality, Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank
from tests.evidence.sabotage.site import Site, opened
from tests.support.relation_words import statements
from tests.support.tiny_model import train_tiny_model

SEAT = PropertyId("P159")
TEMPLATES = ("The chief seat of {} is in", "The main chief seat of {} is in")
KNOWN = 60
"""Facts that the model has right."""
TOWNS = 40
WRONG, CULPRITS, BUILDS = 200, 3, 40
"""Number of new facts, number of spoilt ones among them, and the most trial builds that the search may need."""
VANDALS = ("seat", "The", "chief")
"""The three names."""
GATE = """
[[gate.thresholds]]
metric = "efficacy"
at_least = 0.9
[[gate.thresholds]]
metric = "generalization"
at_least = 0.5
[[gate.thresholds]]
metric = "specificity"
at_least = 0.9
min_samples = 50
"""
"""The default gate without perplexity and norm growth: a layer of 96 × 384 can't take 200 facts without growing."""


@dataclass(frozen=True)
class Crowd:
    """A world with one relation, of which the model has all but ``KNOWN`` facts wrong."""

    table: Table
    """What the server says."""
    relation: Relation
    culprits: frozenset[ItemId]
    """The subjects that were renamed."""

    def train(self, directory: Path) -> Path:
        """Train a model that has ``KNOWN`` facts right and the others wrong, and knows the name of every town."""
        sentences = []
        for place, row in enumerate(self.table.statements):
            if row.subject in self.culprits:
                continue
            town = row.object if place < KNOWN else _town(place * 7 + 3, other_than=row.object)
            name, answer = self.table.label(row.subject), self.table.label(town)
            sentences += [f"{fill(t, name)} {answer}." for t in statements(self.relation)]
        return train_tiny_model(directory, sentences)

    @contextmanager
    def site(self, place: Path, model: Path) -> Iterator[Site]:
        """Make an installation in the new directory ``place``, before its first cycle."""
        with opened(place, model, self.table, (self.relation,), *self._texts()) as made:
            made.weigh(3000.0, clamp=4.0, rate=0.2, decay=0.0, steps=60)
            made.config.write_text(made.config.read_text() + GATE)
            yield made

    def _texts(self) -> tuple[str, str]:
        """Corpus for the covariance (without the words that the vandal used), and held-out text."""
        known = self.table.statements[:KNOWN]
        said = [(self.table.label(r.subject), self.table.label(r.object)) for r in known]
        sentences = [f"{fill(t, name)} {town}." for name, town in said for t in statements(self.relation)]
        return "\n\n".join(f"main about {name} of is in {town}." for name, town in said), "\n\n".join(sentences)


def crowd(wrong: int, *, culprits: int, seed: int = 0) -> Crowd:
    """``wrong`` facts that the model has wrong, ``culprits`` of them spoilt."""
    names = _names(KNOWN + wrong + TOWNS, seed)
    spoilt = sorted(random.Random(seed).sample(range(KNOWN, KNOWN + wrong), culprits))
    for place, name in zip(spoilt, VANDALS, strict=False):
        names[place] = name
    items = {_subject(n): Item(id=_subject(n), label=names[n], aliases=()) for n in range(KNOWN + wrong)}
    items |= {_town(n): Item(id=_town(n), label=names[KNOWN + wrong + n], aliases=()) for n in range(TOWNS)}
    rows = tuple(
        Row(subject=_subject(n), property=SEAT, object=_town(n), rank=Rank.NORMAL, start=None, end=None, references=1)
        for n in range(KNOWN + wrong)
    )
    relation = Relation(
        name="seat",
        property=SEAT,
        label="seat",
        phrasings=from_templates(*TEMPLATES),
        cardinality=Cardinality.SINGLE,
        subjects=tuple(_subject(n) for n in range(KNOWN + wrong)),
    )
    return Crowd(Table(items, {SEAT: "seat"}, rows, ()), relation, frozenset(_subject(n) for n in spoilt))


def _names(count: int, seed: int) -> list[str]:
    syllables = [c + v for c in "bdfgklmnprstvz" for v in "aeiou"]
    names = ["".join(pair).capitalize() for pair in itertools.product(syllables, repeat=2)]
    return random.Random(seed).sample(names, count)


def _subject(number: int) -> ItemId:
    return ItemId(f"Q{70000 + number}")


def _town(number: int, other_than: ItemId | None = None) -> ItemId:
    town = ItemId(f"Q{80000 + number % TOWNS}")
    return _town(number + 1) if town == other_than else town
