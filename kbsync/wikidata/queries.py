"""The texts of the queries: standard SPARQL 1.1, so that Blazegraph, QLever and Oxigraph give the same answers.

Three rules keep them cheap and safe. Predicates are constants, and every branch of a UNION has its own ``VALUES``, so
that no engine needs a clever plan for its joins. Identifiers are checked before they become text. Labels never become
text.

The names of classes and predicates are those of Wikibase's RDF (mediawiki.org, "Wikibase/Indexing/RDF Dump Format").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kbsync.domain.errors import BadIdentifier
from kbsync.domain.languages import wanted_tags
from kbsync.domain.statement import item_id, property_id
from kbsync.wikidata.answers import Term

LIVE = "http://www.wikidata.org"
"""The node whose date the live service updates with every change. The IRIs of Wikidata begin with it."""
ENTITY = f"{LIVE}/entity/"
STATEMENT = ENTITY + "statement/"
ONTOLOGY = "http://wikiba.se/ontology#"
XSD = "http://www.w3.org/2001/XMLSchema#"
NO_UNIT = ENTITY + "Q199"
"""The unit of a bare number, in every Wikibase."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vocabulary:
    """The IRIs and properties of a Wikibase: Wikidata's, or another one's."""

    base: str = LIVE
    """Concept base: what the IRIs begin with, without a slash at its end."""
    start: str = "P580"
    """Property of the qualifier "start time"; empty where there is none."""
    end: str = "P582"
    """Property of the qualifier "end time"; empty where there is none."""
    point: str = "P585"
    """Property of the qualifier "point in time"; empty where there is none."""

    @property
    def prefixes(self) -> str:
        """What every query begins with; a relation's ``subject_pattern`` may use all of these prefixes."""
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
        """Name of the variable → property."""
        properties = {"start": self.start, "end": self.end, "point": self.point}
        return {name: property_id(prop) for name, prop in properties.items() if prop}

    def as_wikidata(self, term: Term) -> Term:
        """Translate an IRI of this Wikibase into Wikidata's, which everything after the query reads.

        Wikidata's own items are foreign to another Wikibase, and are no items there; its unit for "none" excepted.
        """
        if self.base == LIVE or term.kind != "uri":
            return term
        if term.text == self.base or term.text.startswith(f"{self.base}/"):
            return term._replace(text=LIVE + term.text.removeprefix(self.base))
        if term.text.startswith(ENTITY) and term.text != NO_UNIT:
            return term._replace(text=term.text.replace("http://", "https://", 1))
        return term


WIKIDATA = Vocabulary()

_LANGUAGE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*\Z")


class Shape(StrEnum):
    """Where an endpoint keeps an item's revision and date."""

    SERVICE = "service"
    """On the item, to which the public service's loader moves them."""
    DUMP = "dump"
    """On the data node that is ``schema:about`` the item, as in the published dumps."""


def language_code(text: str) -> str:
    """Check a language code such as ``en`` or ``pt-br``. Raises ``BadIdentifier``."""
    if not _LANGUAGE.match(text):
        raise BadIdentifier(f"{text!r} is not a language code as Wikidata writes them (en, pt-br).")
    return text


def server_time(vocabulary: Vocabulary = WIKIDATA) -> str:
    """Q0. ``?root ?t``: the newest change that the endpoint knows. A dump says it of its own node."""
    return f"""{vocabulary.prefixes}
SELECT ?root ?t WHERE {{
  VALUES ?root {{ <{vocabulary.base}> wikibase:Dump }}
  ?root schema:dateModified ?t
}}"""


def probe(vocabulary: Vocabulary = WIKIDATA) -> str:
    """A few nodes that have a revision (``?node``), and what they are about (``?about``): they show the shape."""
    return f"""{vocabulary.prefixes}
SELECT ?node ?about WHERE {{
  {{ SELECT ?node WHERE {{ ?node schema:version ?rev }} LIMIT 20 }}
  OPTIONAL {{ ?node schema:about ?about }}
}}"""


def heads(items: Sequence[str], shape: Shape, vocabulary: Vocabulary = WIKIDATA) -> str:
    """Q1. ``?item ?rev ?modified ?target``: at least one row per item. One that binds nothing else means: deleted."""
    return f"{vocabulary.prefixes}\nSELECT ?item ?rev ?modified ?target WHERE {{\n{_heads(items, shape)}\n}}"


def labels(items: Sequence[str], language: str, vocabulary: Vocabulary = WIKIDATA) -> str:
    """``?item ?label ?alias``: labels and aliases in ``language`` and for all languages.

    A redirect has none of its own and gets those of the item that it leads to, because statements may name it until a
    bot has corrected them.
    """
    of_target = _labels(items, language, "?item owl:sameAs ?target . ?target")
    return (
        f"{vocabulary.prefixes}\nSELECT ?item ?label ?alias WHERE {{\n{_labels(items, language)} UNION\n{of_target}\n}}"
    )


def records(
    items: Sequence[str], properties: Sequence[str], language: str, shape: Shape, vocabulary: Vocabulary = WIKIDATA
) -> str:
    """Q2 for a page of items: heads, labels and statements in one query, and so from one snapshot of the store.

    There are three kinds of row, and what they bind tells which: ``?st`` (a statement), ``?label`` or ``?alias``, or
    none of these (a head). A statement has one row, or several where a qualifier has several values.
    """
    branches = [_heads(items, shape), _labels(items, language)]
    branches += [_statements(items, property_id(p), shape, vocabulary) for p in properties]
    union = "\n} UNION {\n".join(branches)
    keys = (
        "?item ?rev ?modified ?target ?label ?alias ?property ?st ?rank ?value ?none ?precision ?calendar ?unit "
        + " ".join(f"?{q} ?{q}Time ?{q}Precision" for q in vocabulary.qualifiers)
    )
    return f"""{vocabulary.prefixes}
SELECT {keys} (COUNT(DISTINCT ?ref) AS ?refs) WHERE {{ {{
{union}
}} }} GROUP BY {keys}"""


def subjects(pattern: str, *, after: str, limit: int, vocabulary: Vocabulary = WIKIDATA) -> str:
    """A page of the items that ``pattern`` finds.

    A page begins after the last IRI of the page before, and not at an OFFSET: then an item that appears or vanishes
    between two pages can't make another one be skipped.

    Args:
        pattern: SPARQL graph pattern that binds ``?item``.
        after: The page begins after this IRI; empty: at the first.

    Returns:
        The text of a query for ``?item``, in the order of the IRIs.
    """
    return f"""{vocabulary.prefixes}
SELECT DISTINCT ?item WHERE {{
  {{
{pattern}
  }}
  FILTER(STRSTARTS(STR(?item), "{vocabulary.base}/entity/Q") && STR(?item) > "{after}")
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
    tags = ", ".join(f'"{tag}"' for tag in wanted_tags(language_code(language)))
    wanted = f"LCASE(LANG(?{{}})) IN ({tags})"
    return f"""  {{
  {_values(items)}
    {subject} rdfs:label ?label FILTER({wanted.format("label")})
  }} UNION {{
  {_values(items)}
    {subject} skos:altLabel ?alias FILTER({wanted.format("alias")})
  }}"""


def _statements(items: Sequence[str], prop: str, shape: Shape, vocabulary: Vocabulary) -> str:
    revision = {
        Shape.SERVICE: "?item schema:version ?rev .",
        Shape.DUMP: "OPTIONAL { ?data schema:about ?item ; schema:version ?rev }",
    }[shape]
    qualifiers = "\n".join(_qualifier(name, pid) for name, pid in vocabulary.qualifiers.items())
    return f"""{_values(items)}
  ?item p:{prop} ?st . ?st wikibase:rank ?rank .
  {revision}
  BIND(wd:{prop} AS ?property)
  BIND(EXISTS {{ ?st a wdno:{prop} }} AS ?none)
  OPTIONAL {{ ?st ps:{prop} ?value }}
  OPTIONAL {{ ?st psv:{prop} ?timeNode . ?timeNode wikibase:timePrecision ?precision
    OPTIONAL {{ ?timeNode wikibase:timeCalendarModel ?calendar }} }}
  OPTIONAL {{ ?st psv:{prop} ?unitNode . ?unitNode wikibase:quantityUnit ?unit }}
{qualifiers}
  OPTIONAL {{ ?st prov:wasDerivedFrom ?ref }}"""


def _qualifier(name: str, prop: str) -> str:
    """The simple value, and the full one with its precision where the endpoint has value nodes.

    There are two patterns and a nested OPTIONAL instead of three patterns, because Oxigraph then looks up each
    statement; otherwise, on a page of more than about a hundred items, it joins with all time nodes of the store.
    """
    return f"""  OPTIONAL {{ ?st pq:{prop} ?{name} }}
  OPTIONAL {{ ?st pqv:{prop} ?{name}Node . ?{name}Node wikibase:timePrecision ?{name}Precision
    OPTIONAL {{ ?{name}Node wikibase:timeValue ?{name}Time }} }}"""
