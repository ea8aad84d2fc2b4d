"""A world for ``python -m tests.evidence pull``: items with statements in Wikidata's RDF, loaded into a local SPARQL
server.

Everything is drawn from a seed, so that two runs ask the same questions and get the same answers.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Cardinality, Relation
from kbsync.domain.statement import ItemId, PropertyId

AGENT = "kbsync-bench (https://localhost)"
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
EDITED = BEGAN - timedelta(days=60)
"""When all items were edited last before that: long enough ago for their names to be believed."""
FIRST_PROPERTY = 9_000_001
FIRST_OBJECT = 50_000_000
CHUNK = 2_000
"""Items of one load: 100 MB of Turtle at once would cost more memory than the rest of the benchmark."""

PREFIXES = {
    "wd": "http://www.wikidata.org/entity/",
    "s": "http://www.wikidata.org/entity/statement/",
    "p": "http://www.wikidata.org/prop/",
    "ps": "http://www.wikidata.org/prop/statement/",
    "pq": "http://www.wikidata.org/prop/qualifier/",
    "pqv": "http://www.wikidata.org/prop/qualifier/value/",
    "ref": "http://www.wikidata.org/reference/",
    "v": "http://www.wikidata.org/value/",
    "wikibase": "http://wikiba.se/ontology#",
    "prov": "http://www.w3.org/ns/prov#",
    "schema": "http://schema.org/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
}
_TURTLE = "".join(f"@prefix {name}: <{iri}> .\n" for name, iri in PREFIXES.items())
_SPARQL = "".join(f"PREFIX {name}: <{iri}>\n" for name, iri in PREFIXES.items())
_RANKS = ("NormalRank", "NormalRank", "NormalRank", "PreferredRank", "DeprecatedRank")


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSize:
    """How much the world holds."""

    items: int = 10_000
    """Watched items."""
    properties: int = 10
    """Statements of each item, each of another property."""
    objects: int = 2_000
    """Items that are their values."""
    changed: float = 0.01
    """Share of the items that change between two pulls."""
    unwatched: int = 20_000
    """Further items of the same kind, which the endpoint gets before the last pull."""

    @property
    def statements(self) -> int:
        return self.items * self.properties

    @property
    def watched(self) -> list[ItemId]:
        return [ItemId(f"Q{n}") for n in range(1, self.items + 1)]

    @property
    def watched_properties(self) -> list[PropertyId]:
        return [PropertyId(f"P{FIRST_PROPERTY + n}") for n in range(self.properties)]


def relations(size: WorldSize) -> list[Relation]:
    """A relation for each property; each of them watches every item."""
    subjects = tuple(size.watched)
    return [
        Relation(
            name=f"relation-{prop}",
            property=prop,
            label=f"relation {prop}",
            phrasings=from_templates("{} is"),
            cardinality=Cardinality.LATEST,
            subjects=subjects,
        )
        for prop in size.watched_properties
    ]


def turtle(size: WorldSize, seed: int) -> Iterator[str]:
    """The watched items and their objects, in documents of ``CHUNK`` items."""
    yield f"{_TURTLE}<http://www.wikidata.org> schema:dateModified {_date(BEGAN)} .\n" + "".join(
        f"wd:Q{FIRST_OBJECT + n} schema:version 1 ; schema:dateModified {_date(EDITED)} ; "
        f'rdfs:label "object {n}"@en .\n'
        for n in range(size.objects)
    )
    yield from _documents(size, seed, 1, size.items)


def unwatched(size: WorldSize, seed: int) -> Iterator[str]:
    """Items that nobody watches, with statements of the same properties."""
    yield from _documents(size, seed + 1, size.items + 1, size.unwatched)


def change(size: WorldSize, seed: int, turn: int) -> tuple[str, int]:
    """A SPARQL update that gives a share of the items a new revision and a new value; and how many items."""
    draw = random.Random(f"{seed}/{turn}")
    numbers = draw.sample(range(1, size.items + 1), round(size.items * size.changed))
    at = BEGAN + timedelta(days=turn)
    prop = f"P{FIRST_PROPERTY}"
    rows = " ".join(f"(wd:Q{n} wd:Q{FIRST_OBJECT + draw.randrange(size.objects)})" for n in numbers)
    update = f"""{_SPARQL}
DELETE {{ ?item schema:version ?rev ; schema:dateModified ?was . ?st ps:{prop} ?old }}
INSERT {{ ?item schema:version {100 + turn} ; schema:dateModified {_date(at)} . ?st ps:{prop} ?new }}
WHERE {{ VALUES (?item ?new) {{ {rows} }} ?item schema:version ?rev ; schema:dateModified ?was ; p:{prop} ?st .
  ?st ps:{prop} ?old }} ;
{_moved(at)}"""
    return update, len(numbers)


def edit(item: ItemId, value: ItemId, revision: int, at: datetime) -> str:
    """A SPARQL update that gives one item a new revision and a new value of the first property, at the time ``at``."""
    prop = f"P{FIRST_PROPERTY}"
    return f"""{_SPARQL}
DELETE {{ wd:{item} schema:version ?rev ; schema:dateModified ?was . ?st ps:{prop} ?old }}
INSERT {{ wd:{item} schema:version {revision} ; schema:dateModified {_date(at)} . ?st ps:{prop} wd:{value} }}
WHERE {{ wd:{item} schema:version ?rev ; schema:dateModified ?was ; p:{prop} ?st . ?st ps:{prop} ?old }} ;
{_moved(at)}"""


def move_on(at: datetime) -> str:
    """A SPARQL update after which the endpoint says that it knows everything up to ``at``."""
    return f"{_SPARQL}\n{_moved(at)}"


def _moved(at: datetime) -> str:
    return f"""DELETE {{ <http://www.wikidata.org> schema:dateModified ?was }}
INSERT {{ <http://www.wikidata.org> schema:dateModified {_date(at)} }}
WHERE {{ <http://www.wikidata.org> schema:dateModified ?was }}"""


def _documents(size: WorldSize, seed: int, first: int, count: int) -> Iterator[str]:
    draw = random.Random(seed)
    for start in range(first, first + count, CHUNK):
        numbers = range(start, min(start + CHUNK, first + count))
        yield _TURTLE + "".join(_item(size, draw, number) for number in numbers)


def _item(size: WorldSize, draw: random.Random, number: int) -> str:
    lines = [
        f"wd:Q{number} a wikibase:Item ; schema:version 100 ; schema:dateModified {_date(EDITED)} ; "
        f'rdfs:label "item {number}"@en .\n'
    ]
    for prop in size.watched_properties:
        node = f"s:Q{number}-{prop}"
        year = draw.randrange(1900, 2025)
        since = f'"{year}-01-01T00:00:00Z"^^xsd:dateTime'
        lines.append(
            f"wd:Q{number} p:{prop} {node} . {node} a wikibase:Statement ; wikibase:rank "
            f"wikibase:{draw.choice(_RANKS)} ; "
            f"ps:{prop} wd:Q{FIRST_OBJECT + draw.randrange(size.objects)} ; pq:P580 {since} ; pqv:P580 v:y{year} ; "
            f"prov:wasDerivedFrom ref:r{draw.randrange(1000)} .\n"
            f"v:y{year} wikibase:timeValue {since} ; wikibase:timePrecision 9 .\n"
        )
    return "".join(lines)


def _date(at: datetime) -> str:
    return f'"{at:%Y-%m-%dT%H:%M:%SZ}"^^xsd:dateTime'
