"""Wikidata's RDF, read by rdflib triple by triple: an independent check of what kbsync reads through SPARQL."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import rdflib

from kbsync.domain.fact import holding
from kbsync.domain.relation import Cardinality
from kbsync.domain.statement import UNKNOWN_TIME, Snak, Statement, TimePoint, Value, ValueKind

PROP = "http://www.wikidata.org/prop/"
ENTITY = "http://www.wikidata.org/entity/"
WIKIBASE = "http://wikiba.se/ontology#"
XSD = "http://www.w3.org/2001/XMLSchema#"
PROV = "http://www.w3.org/ns/prov#"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
QUALIFIERS = {"start": "P580", "end": "P582", "point_in_time": "P585"}

rdflib.NORMALIZE_LITERALS = False


class Graph:
    """Triples by subject and predicate. ``format``: ``turtle`` or ``nt``."""

    def __init__(self, text: str, format: str = "turtle") -> None:
        self.by: dict[tuple[str, str], list[rdflib.term.Node]] = {}
        for subject, predicate, value in rdflib.Graph().parse(data=text, format=format):
            self.by.setdefault((str(subject), str(predicate)), []).append(value)

    def objects(self, subject: str, predicate: str) -> list[rdflib.term.Node]:
        return self.by.get((subject, predicate), [])

    def types(self, node: str) -> set[str]:
        return {str(kind) for kind in self.objects(node, str(rdflib.RDF.type))}

    def items(self) -> set[str]:
        """Everything that has statements."""
        return {s.removeprefix(ENTITY) for s, p in self.by if _is_property(p) and re.fullmatch(ENTITY + r"Q\d+", s)}

    def statements(self, item: str) -> Iterator[tuple[str, str]]:
        """(property, statement node) of an item, where the node has a rank; a dump that was cut off has others, too."""
        for (subject, predicate), nodes in self.by.items():
            if subject == ENTITY + item and _is_property(predicate):
                for node in nodes:
                    if self.objects(str(node), f"{WIKIBASE}rank"):
                        yield predicate.removeprefix(PROP), str(node)

    def times(self, node: str, qualifier: str) -> set[TimePoint]:
        """The times of a qualifier's value nodes; where the data lack these, those of its simple values, as days."""
        nodes = [str(value) for value in self.objects(node, f"{PROP}qualifier/value/{qualifier}")]
        full = [n for n in nodes if self.objects(n, WIKIBASE + "timeValue")]
        if full:
            return {TimePoint(self._text(n, "timeValue"), int(self._text(n, "timePrecision"))) for n in full}
        simple = self.objects(node, f"{PROP}qualifier/{qualifier}")
        return {TimePoint(str(v)) for v in simple if isinstance(v, rdflib.Literal)}

    def compare(self, node: str, statement: Statement) -> None:
        """Assert that ``statement`` is what the triples of ``node`` say."""
        (rank,) = self.objects(node, f"{WIKIBASE}rank")
        assert str(rank) == f"{WIKIBASE}{statement.rank.value.capitalize()}Rank"
        assert statement.references == len(set(self.objects(node, f"{PROV}wasDerivedFrom")))
        assert (statement.snak, statement.value) == self._value(node, statement.property), node
        for name, qualifier in QUALIFIERS.items():
            read, times = getattr(statement, name), self.times(node, qualifier)
            if times:
                pick = min if name == "start" else max
                assert read == pick(times, key=TimePoint.sort_key), node
            else:
                given = self.objects(node, f"{PROP}qualifier/{qualifier}")
                assert read == (UNKNOWN_TIME if given and name == "end" else None), node

    def compare_best(self, statements: list[Statement]) -> int:
        """Assert that of an item's statements of one property, those hold that have a value and are marked as best.

        Returns how many are marked.
        """
        bare = [s for s in statements if s.start is None and s.end is None]
        if len(bare) < len(statements):
            return 0  # what has ended is dropped before ranks are compared
        held = {s.id for s in holding(bare, Cardinality.SET, NOW)}
        marked = {s.id for s in bare if f"{WIKIBASE}BestRank" in self.types(node_of(s))}
        assert held == {s.id for s in bare if s.id in marked and s.snak is Snak.VALUE}
        return len(marked)

    def _text(self, node: str, name: str) -> str:
        (value,) = self.objects(node, WIKIBASE + name)
        return str(value)

    def _value(self, node: str, prop: str) -> tuple[Snak, Value | None]:
        values = self.objects(node, f"{PROP}statement/{prop}")
        if not values:
            assert f"{PROP}novalue/{prop}" in self.types(node)
            return Snak.NOVALUE, None
        (value,) = values
        if isinstance(value, rdflib.BNode) or "/.well-known/genid/" in str(value):
            return Snak.SOMEVALUE, None
        full = [str(v) for v in self.objects(node, f"{PROP}statement/value/{prop}") if self.types(str(v))]
        return Snak.VALUE, self._simple(value, full)

    def _simple(self, value: rdflib.term.Node, full: list[str]) -> Value:
        text = str(value)
        if isinstance(value, rdflib.URIRef):
            item = re.fullmatch(ENTITY + r"(Q\d+)", text)
            return Value(ValueKind.ITEM, item[1]) if item else Value(ValueKind.OTHER, text)
        assert isinstance(value, rdflib.Literal)
        if value.language:
            return Value(ValueKind.MONOLINGUAL, text, value.language)
        kind = str(value.datatype or XSD + "string").removeprefix(XSD)
        if kind == "dateTime":
            return Value(ValueKind.TIME, text, self._text(full[0], "timePrecision") if full else "11")
        if kind == "decimal":
            unit = self._text(full[0], "quantityUnit").removeprefix(ENTITY) if full else "Q199"
            sign = "" if text.startswith("-") else "+"
            number = text.lstrip("+")
            number = number.rstrip("0").rstrip(".") if "." in number else number
            return Value(ValueKind.QUANTITY, sign + number, "" if unit == "Q199" else unit)
        return Value(ValueKind.STRING if kind == "string" else ValueKind.OTHER, text)


def node_of(statement: Statement) -> str:
    return f"{ENTITY}statement/{statement.id.replace('$', '-', 1)}"


def found(statements: list[Statement]) -> Counter[str]:
    """How many statements have each rank, kind of value and time qualifier: shows whether a payload has all of them."""
    counts: Counter[str] = Counter()
    for statement in statements:
        counts[statement.rank.value] += 1
        counts[statement.value.kind.value if statement.value else statement.snak.value] += 1
        counts["unit"] += bool(
            statement.value and statement.value.kind is ValueKind.QUANTITY and statement.value.detail
        )
        counts["reference"] += statement.references > 0
        for name in QUALIFIERS:
            counts[name] += getattr(statement, name) is not None
    return counts


def _is_property(predicate: str) -> bool:
    return re.fullmatch(re.escape(PROP) + r"P\d+", predicate) is not None
