"""The query texts: standard SPARQL 1.1, so that Blazegraph, QLever and Oxigraph answer them alike.

Three rules keep them cheap and safe. Predicates are constants and every UNION branch carries its own ``VALUES``,
so that no engine has to be clever about joins. Identifiers are checked before they become text. Labels never do.

The vocabulary is that of Wikibase's RDF dump format (mediawiki.org, "Wikibase/Indexing/RDF Dump Format").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kbsync.domain.errors import BadIdentifier
from kbsync.domain.statement import item_id, property_id
from kbsync.wikidata.answers import Term

LIVE = "http://www.wikidata.org"
"""The node whose date the live service moves on with every change; all of Wikidata's names begin with it."""
ENTITY = f"{LIVE}/entity/"
STATEMENT = ENTITY + "statement/"
ONTOLOGY = "http://wikiba.se/ontology#"
XSD = "http://www.w3.org/2001/XMLSchema#"
NO_UNIT = ENTITY + "Q199"
"""The unit of a bare number, in every Wikibase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """Whose items they are: Wikidata's, or those of another Wikibase.

    ``base`` is the concept base of its RDF, without a slash at its end; ``start``, ``end`` and ``point`` are the
    properties of the time qualifiers that are read (empty: it has none).
    """

    base: str = LIVE
    start: str = "P580"
    end: str = "P582"
    point: str = "P585"

    @property
    def prefixes(self) -> str:
        """Put before every query; a relation's ``subject_pattern`` may use all of them."""
        return f"""\
PREFIX wd: <{self.base}/entity/>
PREFIX wdt: <{self.base}/prop/direct/>
PREFIX p: <{self.base}/prop/>
PREFIX ps: <{self.base}/prop/statement/>
PREFIX psv: <{self.base}/prop/statement/value/>
PREFIX pq: <{self.base}/prop/qualifier/>
PREFIX pqv: <{self.base}/prop/qualifier/value/>
PREFIX wdno: <{self.base}/prop/novalue/>
PREFIX wikibase: <{ONTOLOGY}>
PREFIX prov: <http://www.w3.org/ns/prov#>
PREFIX schema: <http://schema.org/>
PREFIX owl: <http://www.w3.org/2002/07/owl#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
PREFIX xsd: <{XSD}>
"""

    @property
    def qualifiers(self) -> dict[str, str]:
        """Variable name → property."""
        found = {"start": self.start, "end": self.end, "point": self.point}
        return {name: property_id(prop) for name, prop in found.items() if prop}

    def told(self, term: Term) -> Term:
        """An IRI of this Wikibase under Wikidata's names, as everything after the query reads them; Wikidata's own
        items are foreign to another Wikibase, but for the unit that says "none"."""
        if self.base == LIVE or term.kind != "uri":
            return term
        if term.text == self.base or term.text.startswith(f"{self.base}/"):
            return term._replace(text=LIVE + term.text.removeprefix(self.base))
        if term.text.startswith(ENTITY) and term.text != NO_UNIT:
            return term._replace(text=term.text.replace("http://", "https://", 1))
        return term


WIKIDATA = Vocabulary()

MULTILINGUAL = "mul"
"""Wikidata's default language: a name written once for all languages, where an item has none in the one asked for."""

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{2,8})*\Z")


class Shape(StrEnum):
    """Where an endpoint keeps an item's revision and date.

    ``service``: on the item, where the public service's loader moves them. ``dump``: on the data node that is
    ``schema:about`` the item, as the published dumps have it.
    """

    SERVICE = "service"
    DUMP = "dump"


def language_code(text: str) -> str:
    """Check a language code such as ``en`` or ``pt-br``; raises ``BadIdentifier``."""
    if not _LANGUAGE.match(text):
        raise BadIdentifier(f"{text!r} is not a language code as Wikidata writes them (en, pt-br).")
    return text


def server_time(names: Vocabulary = WIKIDATA) -> str:
    """Q0. ``?root ?t``: the newest change the endpoint knows. A dump says it of its own node."""
    return f"""{names.prefixes}
SELECT ?root ?t WHERE {{
  VALUES ?root {{ <{names.base}> wikibase:Dump }}
  ?root schema:dateModified ?t
}}"""


def probe(names: Vocabulary = WIKIDATA) -> str:
    """A few nodes that carry a revision (``?node``), and what they are about (``?about``): tells the shape."""
    return f"""{names.prefixes}
SELECT ?node ?about WHERE {{
  {{ SELECT ?node WHERE {{ ?node schema:version ?rev }} LIMIT 20 }}
  OPTIONAL {{ ?node schema:about ?about }}
}}"""


def heads(items: Sequence[str], shape: Shape, names: Vocabulary = WIKIDATA) -> str:
    """Q1. ``?item ?rev ?modified ?target``: at least one row an item; nothing bound means deleted."""
    return f"{names.prefixes}\nSELECT ?item ?rev ?modified ?target WHERE {{\n{_heads(items, shape)}\n}}"


def labels(items: Sequence[str], language: str, names: Vocabulary = WIKIDATA) -> str:
    """``?item ?label ?alias``: labels and aliases in ``language`` and in the multilingual default.

    A redirect has none, and goes by those of the item that it leads to: statements may name it until a bot has
    corrected them.
    """
    led = _labels(items, language, "?item owl:sameAs ?target . ?target")
    return f"{names.prefixes}\nSELECT ?item ?label ?alias WHERE {{\n{_labels(items, language)} UNION\n{led}\n}}"


def records(
    items: Sequence[str], properties: Sequence[str], language: str, shape: Shape, names: Vocabulary = WIKIDATA
) -> str:
    """Q2 for a page of items: heads, labels and statements in one query, and so of one snapshot of the store.

    Rows are of three kinds, told apart by what they bind: ``?st`` (a statement), ``?label`` or ``?alias``, or none
    of these (a head). A statement is one row, or several where a qualifier has several values.
    """
    branches = [_heads(items, shape), _labels(items, language)]
    branches += [_statements(items, property_id(p), shape, names) for p in properties]
    union = "\n} UNION {\n".join(branches)
    keys = "?item ?rev ?modified ?target ?label ?alias ?property ?st ?rank ?value ?none ?precision ?unit " + " ".join(
        f"?{q} ?{q}Time ?{q}Precision" for q in names.qualifiers
    )
    return f"""{names.prefixes}
SELECT {keys} (COUNT(DISTINCT ?ref) AS ?refs) WHERE {{ {{
{union}
}} }} GROUP BY {keys}"""


def subjects(pattern: str, *, after: str, limit: int, names: Vocabulary = WIKIDATA) -> str:
    """One page of the items that ``pattern`` finds, in the order of their IRIs, beginning after the IRI ``after``.

    Paged by the last IRI seen and not by OFFSET: an item that appears or vanishes between two pages can't push
    another one out of sight.
    """
    return f"""{names.prefixes}
SELECT DISTINCT ?item WHERE {{
  {{
{pattern}
  }}
  FILTER(STRSTARTS(STR(?item), "{names.base}/entity/Q") && STR(?item) > "{after}")
}} ORDER BY ?item LIMIT {limit:d}"""


def _values(items: Sequence[str]) -> str:
    return f"  VALUES ?item {{ {' '.join('wd:' + item_id(i) for i in items)} }}"


def _heads(items: Sequence[str], shape: Shape) -> str:
    newest = {
        Shape.SERVICE: "OPTIONAL { ?item schema:version ?rev } OPTIONAL { ?item schema:dateModified ?modified }",
        Shape.DUMP: "OPTIONAL { ?data schema:about ?item ; schema:version ?rev "
        "OPTIONAL { ?data schema:dateModified ?modified } }",
    }[shape]
    return f"""{_values(items)}
  {newest}
  OPTIONAL {{ ?item owl:sameAs ?target }}"""


def _labels(items: Sequence[str], language: str, subject: str = "?item") -> str:
    wanted = f'LANG(?{{}}) IN ("{language_code(language)}", "{MULTILINGUAL}")'
    return f"""  {{
  {_values(items)}
    {subject} rdfs:label ?label FILTER({wanted.format("label")})
  }} UNION {{
  {_values(items)}
    {subject} skos:altLabel ?alias FILTER({wanted.format("alias")})
  }}"""


def _statements(items: Sequence[str], prop: str, shape: Shape, names: Vocabulary) -> str:
    revision = {
        Shape.SERVICE: "?item schema:version ?rev .",
        Shape.DUMP: "OPTIONAL { ?data schema:about ?item ; schema:version ?rev }",
    }[shape]
    qualifiers = "\n".join(_qualifier(name, pid) for name, pid in names.qualifiers.items())
    return f"""{_values(items)}
  ?item p:{prop} ?st . ?st wikibase:rank ?rank .
  {revision}
  BIND(wd:{prop} AS ?property)
  BIND(EXISTS {{ ?st a wdno:{prop} }} AS ?none)
  OPTIONAL {{ ?st ps:{prop} ?value }}
  OPTIONAL {{ ?st psv:{prop} ?timeNode . ?timeNode wikibase:timePrecision ?precision }}
  OPTIONAL {{ ?st psv:{prop} ?unitNode . ?unitNode wikibase:quantityUnit ?unit }}
{qualifiers}
  OPTIONAL {{ ?st prov:wasDerivedFrom ?ref }}"""


def _qualifier(name: str, prop: str) -> str:
    """The simple value, and the full one with its precision where the endpoint has value nodes.

    Two patterns and a nested OPTIONAL instead of three patterns: Oxigraph then looks each statement up, where it
    would otherwise join with all time nodes of the store once the page is larger than about a hundred items.
    """
    return f"""  OPTIONAL {{ ?st pq:{prop} ?{name} }}
  OPTIONAL {{ ?st pqv:{prop} ?{name}Node . ?{name}Node wikibase:timePrecision ?{name}Precision
    OPTIONAL {{ ?{name}Node wikibase:timeValue ?{name}Time }} }}"""
