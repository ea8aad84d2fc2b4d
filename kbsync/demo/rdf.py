"""Items and statements as RDF, in the form in which Wikidata's query service serves them.

The output is N-Triples lines without prefixes. They are valid Turtle for a bulk load and, inside ``INSERT DATA { }``,
valid SPARQL for an update. The vocabulary is Wikibase's (mediawiki.org, "Wikibase/Indexing/RDF Dump Format"). As on the
query service, ``schema:version`` and ``schema:dateModified`` are properties of the item itself.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from hashlib import sha1

from kbsync.demo.table import Item, Row
from kbsync.domain.statement import ItemId, PropertyId, Rank, TimePoint

ROOT = "<http://www.wikidata.org>"
"""The node whose ``schema:dateModified`` is the server's time."""
ENTITY = "http://www.wikidata.org/entity/"
PROP = "http://www.wikidata.org/prop/"
WIKIBASE = "http://wikiba.se/ontology#"
XSD = "http://www.w3.org/2001/XMLSchema#"
TYPE = "<http://www.w3.org/1999/02/22-rdf-syntax-ns#type>"
RDFS_LABEL = "<http://www.w3.org/2000/01/rdf-schema#label>"
ALT_LABEL = "<http://www.w3.org/2004/02/skos/core#altLabel>"
VERSION = "<http://schema.org/version>"
MODIFIED = "<http://schema.org/dateModified>"
DERIVED_FROM = "<http://www.w3.org/ns/prov#wasDerivedFrom>"
RANK = f"<{WIKIBASE}rank>"
BEST_RANK = f"<{WIKIBASE}BestRank>"
GREGORIAN = f"<{ENTITY}Q1985727>"
START, END = "P580", "P582"
IMPORTED_FROM, ENGLISH_WIKIPEDIA = "P143", "Q328"
"""The content of every reference node ("imported from Wikimedia project: English Wikipedia"). The tables keep only the
number of Wikidata's references."""

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "http://www.wikidata.org/entity/statement/")


def entity(item: str) -> str:
    return f"<{ENTITY}{item}>"


def statement_node(row: Row) -> str:
    """``wds:`` with a UUID made of subject, property, value and start, so that it is the same in every run.

    Neither the end nor the rank is part of it, because a statement keeps its id when it ends.
    """
    content = "|".join([row.subject, row.property, row.object, row.start.iso if row.start else ""])
    return f"<{ENTITY}statement/{row.subject}-{uuid.uuid5(_NAMESPACE, content)}>"


def date_time(at: datetime) -> str:
    return _typed(at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "dateTime")


def integer(number: int) -> str:
    return _typed(str(number), "integer")


def item_lines(item: Item) -> Iterator[str]:
    """Label and aliases."""
    node = entity(item.id)
    yield _line(node, TYPE, f"<{WIKIBASE}Item>")
    yield _line(node, RDFS_LABEL, f"{_text(item.label)}@en")
    for alias in item.aliases:
        yield _line(node, ALT_LABEL, f"{_text(alias)}@en")


def property_lines(prop: PropertyId, label: str) -> Iterator[str]:
    yield _line(entity(prop), TYPE, f"<{WIKIBASE}Property>")
    yield _line(entity(prop), RDFS_LABEL, f"{_text(label)}@en")


def head_lines(item: ItemId, revision: int, modified: datetime) -> Iterator[str]:
    """Revision and date of an item."""
    yield _line(entity(item), VERSION, integer(revision))
    yield _line(entity(item), MODIFIED, date_time(modified))


def server_time_line(at: datetime) -> str:
    """The time up to which the server knows Wikidata."""
    return _line(ROOT, MODIFIED, date_time(at))


def value_line(row: Row, value: ItemId) -> str:
    """The statement of ``row`` says ``value``."""
    return _line(statement_node(row), f"<{PROP}statement/{row.property}>", entity(value))


def truthy_line(row: Row, value: ItemId) -> str:
    """The simple triple (``wdt:``) that follows from a statement of the best rank."""
    return _line(entity(row.subject), f"<{PROP}direct/{row.property}>", entity(value))


def group_lines(rows: Sequence[Row]) -> Iterator[str]:
    """All statements of one subject and property: which one has the best rank depends on the others."""
    best = best_rank(rows)
    for row in rows:
        yield from statement_lines(row, best=row.rank is best)


def best_rank(rows: Sequence[Row]) -> Rank | None:
    """The highest rank of these statements; None if all are deprecated."""
    given = {row.rank for row in rows}
    return next((rank for rank in (Rank.PREFERRED, Rank.NORMAL) if rank in given), None)


def statement_lines(row: Row, *, best: bool) -> Iterator[str]:
    """One statement node with rank, qualifiers and references; with the best rank also the truthy triple."""
    node = statement_node(row)
    yield _line(entity(row.subject), f"<{PROP}{row.property}>", node)
    yield _line(node, TYPE, f"<{WIKIBASE}Statement>")
    yield value_line(row, row.object)
    yield _line(node, RANK, f"<{WIKIBASE}{row.rank.value.capitalize()}Rank>")
    if best:
        yield _line(node, TYPE, BEST_RANK)
        yield truthy_line(row, row.object)
    if row.start:
        yield from _qualifier_lines(node, START, row.start)
    if row.end:
        yield from _qualifier_lines(node, END, row.end)
    for number in range(row.references):
        yield from _reference_lines(node, number)


def _qualifier_lines(node: str, prop: str, at: TimePoint) -> Iterator[str]:
    """A time qualifier: the simple value, and the full one with its precision."""
    full = f"<http://www.wikidata.org/value/{_digest('time', at.iso, at.precision)}>"
    yield _line(node, f"<{PROP}qualifier/{prop}>", _typed(at.iso, "dateTime"))
    yield _line(node, f"<{PROP}qualifier/value/{prop}>", full)
    yield _line(full, TYPE, f"<{WIKIBASE}TimeValue>")
    yield _line(full, f"<{WIKIBASE}timeValue>", _typed(at.iso, "dateTime"))
    yield _line(full, f"<{WIKIBASE}timePrecision>", integer(at.precision))
    yield _line(full, f"<{WIKIBASE}timeTimezone>", integer(0))
    yield _line(full, f"<{WIKIBASE}timeCalendarModel>", GREGORIAN)


def _reference_lines(node: str, number: int) -> Iterator[str]:
    reference = f"<http://www.wikidata.org/reference/{_digest('reference', ENGLISH_WIKIPEDIA, number)}>"
    yield _line(node, DERIVED_FROM, reference)
    yield _line(reference, TYPE, f"<{WIKIBASE}Reference>")
    yield _line(reference, f"<{PROP}reference/{IMPORTED_FROM}>", entity(ENGLISH_WIKIPEDIA))


def _line(subject: str, predicate: str, obj: str) -> str:
    return f"{subject} {predicate} {obj} ."


def _text(text: str) -> str:
    """A quoted literal; JSON's escapes of quote, backslash and control characters are N-Triples' as well."""
    return json.dumps(text, ensure_ascii=False)


def _typed(text: str, kind: str) -> str:
    return f'"{text}"^^<{XSD}{kind}>'


def _digest(*parts: object) -> str:
    """Value and reference nodes are named by a hash of their content; SHA-1 as Wikibase's references."""
    return sha1("|".join(map(str, parts)).encode(), usedforsecurity=False).hexdigest()
