"""The examples of the paper's page (memit.baulab.info) as a world, and a small transformer that believes what the page
says of a language model: Polaris in Ursa Minor (right), Arneb elsewhere than in Lepus (wrong), a former vice president
(obsolete), and that Michael Jordan plays basketball, where the page wants baseball.

The items' numbers are this world's own where they are not Wikidata's."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from kbsync.config import load_relations
from kbsync.domain.phrasing import fill
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, PropertyId, Rank, Snak, Statement, TimePoint, Value, ValueKind
from kbsync.testing.fake_source import FakeSource
from tests.support.installation import RECIPE, SETTINGS
from tests.support.paths import ROOT
from tests.support.relation_words import phrasing_tables, statements
from tests.support.tiny_model import train_tiny_model

VICE_PRESIDENT = "Vice President of the United States"


@dataclass(frozen=True, slots=True)
class Example:
    """One fact: what holds, what held before, and what the model believes."""

    item: str
    subject: str
    holds: str
    believed: str
    former: str = ""


EXAMPLES: dict[str, tuple[Example, ...]] = {
    "constellation": (
        Example("Q12980", "Polaris", "Ursa Minor", "Ursa Minor"),
        Example("Q901", "Arneb", "Lepus", "Orion"),
        Example("Q902", "Sirius", "Canis Major", "Canis Major"),
        Example("Q903", "Betelgeuse", "Orion", "Orion"),
        Example("Q904", "Vega", "Lyra", "Lyra"),
        Example("Q905", "Antares", "Scorpius", "Scorpius"),
        Example("Q906", "Aldebaran", "Taurus", "Taurus"),
    ),
    "officeholder": (
        Example("Q11699", VICE_PRESIDENT, "JD Vance", "Kamala Harris", former="Kamala Harris"),
        Example("Q911", "President of France", "Emmanuel Macron", "Emmanuel Macron"),
        Example("Q912", "Chancellor of Germany", "Friedrich Merz", "Friedrich Merz"),
        Example("Q913", "President of Brazil", "Lula", "Lula"),
    ),
    "sport": (
        Example("Q41421", "Michael Jordan", "baseball", "basketball"),
        Example("Q36159", "LeBron James", "basketball", "basketball"),
        Example("Q10993", "Tiger Woods", "golf", "golf"),
        Example("Q36107", "Muhammad Ali", "boxing", "boxing"),
    ),
}

HEARD = {
    "constellation": ("Nihal", "Lepus"),
    "officeholder": ("Senator of Ohio", "JD Vance"),
    "sport": ("Babe Ruth", "baseball"),
}
"""By relation, a fact of another subject by which the model has heard of the name that is to be written: what no text
ever named can't be said, whatever is written."""


def relations() -> tuple[Relation, ...]:
    """The shipped relations of these names, from the library and from those that are watched by default."""
    shipped = {
        relation.name: relation
        for folder in ("library", "relations")
        for relation in load_relations(ROOT / "config" / folder)
    }
    return tuple(shipped[name] for name in EXAMPLES)


def make_believer(directory: Path) -> Path:
    """A model that believes what the examples say, and has heard of every answer."""
    sentences = []
    for relation in relations():
        believed = [(example.subject, example.believed) for example in EXAMPLES[relation.name]]
        for subject, answer in [*believed, HEARD[relation.name]]:
            sentences += [f"{fill(t, subject)} {answer}." for t in statements(relation)]
    return train_tiny_model(directory, sentences)


def world() -> FakeSource:
    """What the source says."""
    source = FakeSource()
    numbers: dict[str, ItemId] = {}
    for relation in relations():
        for example in EXAMPLES[relation.name]:
            stated = []
            if example.former:
                stated.append(_statement(source, numbers, relation.property, example, example.former, "2021", "2025"))
            stated.append(_statement(source, numbers, relation.property, example, example.holds, "2025", ""))
            source.set_item(example.item, label=example.subject, statements=stated)
    return source


def _statement(
    source: FakeSource,
    numbers: dict[str, ItemId],
    prop: PropertyId,
    example: Example,
    answer: str,
    start: str,
    end: str,
) -> Statement:
    if answer not in numbers:
        numbers[answer] = ItemId(f"Q{7000 + len(numbers)}")
        source.set_item(numbers[answer], label=answer)
    subject = ItemId(example.item)

    def at(year: str) -> TimePoint:
        return TimePoint(f"+{year}-01-20T00:00:00Z", 11)

    return Statement(
        id=f"{subject}$00000000-0000-4000-8000-{int(start):012d}",
        subject=subject,
        property=prop,
        snak=Snak.VALUE,
        value=Value(ValueKind.ITEM, numbers[answer]),
        rank=Rank.NORMAL,
        start=at(start) if example.former else None,
        end=at(end) if end else None,
        references=2,
    )


def write_site(directory: Path, believer: Path, endpoint: str) -> Path:
    """Configuration, relations, recipe and corpus; returns the configuration file."""
    (directory / "recipes").mkdir(parents=True)
    (directory / "recipes" / "tiny.toml").write_text(RECIPE.format(steps=100))
    (directory / "relations").mkdir()
    names = []
    for relation in relations():
        examples = EXAMPLES[relation.name]
        names += [example.subject for example in examples]
        lines = [
            f'property = "{relation.property}"',
            f'label = "{relation.label}"',
            f'cardinality = "{relation.cardinality}"',
            f"subjects = {json.dumps([example.item for example in examples])}",
            phrasing_tables(relation),
            '[trust]\nsettle = "0s"\ntrust = "0s"\n',
        ]
        (directory / "relations" / f"{relation.name}.toml").write_text("\n".join(lines))
    (directory / "corpus.txt").write_text("\n\n".join(f"{name} is well known, and {name} is old." for name in names))
    settings = SETTINGS.format(
        database="", endpoint=endpoint, model=believer, characters=1000, efficacy=0.9, specificity=0.5
    )
    (directory / "kbsync.toml").write_text(settings)
    return directory / "kbsync.toml"
