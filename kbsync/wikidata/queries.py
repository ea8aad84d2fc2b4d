"""The query texts: standard SPARQL 1.1, so that Blazegraph, QLever and Oxigraph answer them alike.

Three rules keep them cheap and safe. Predicates are constants and every UNION branch carries its own ``VALUES``,
so that no engine has to be clever about joins. Identifiers are checked before they become text. Labels never do.

The vocabulary is that of Wikibase's RDF dump format (mediawiki.org, "Wikibase/Indexing/RDF Dump Format").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum

from kbsync.domain.errors import BadIdentifier
from kbsync.domain.statement import item_id, property_id

ENTITY = "http://www.wikidata.org/entity/"
STATEMENT = ENTITY + "statement/"
ONTOLOGY = "http://wikiba.se/ontology#"
LIVE = "http://www.wikidata.org"
"""The node whose date the live service moves on with every change."""
XSD = "http://www.w3.org/2001/XMLSchema#"

PREFIXES = f"""\
PREFIX wd: <{ENTITY}>
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX p: <http://www.wikidata.org/prop/>
PREFIX ps: <http://www.wikidata.org/prop/statement/>
PREFIX psv: <http://www.wikidata.org/prop/statement/value/>
PREFIX pq: <http://www.wikidata.org/prop/qualifier/>
PREFIX pqv: <http://www.wikidata.org/prop/qualifier/value/>
PREFIX wdno: <http://www.wikidata.org/prop/novalue/>
PREFIX wikibase: <{ONTOLOGY}>
PREFIX prov: <http://www.w3.org/ns/prov#>
PREFIX schema: <http://schema.org/>
PREFIX owl: <http://www.w3.org/2002/07/owl#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
PREFIX xsd: <{XSD}>
"""
"""Put before every query; a relation's ``subject_pattern`` may use all of them."""

QUALIFIERS = {"start": "P580", "end": "P582", "point": "P585"}
"""Variable name → property of the time qualifiers that are read."""

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


def server_time() -> str:
    """Q0. ``?root ?t``: the newest change the endpoint knows. A dump says it of its own node."""
    return f"""{PREFIXES}
SELECT ?root ?t WHERE {{
  VALUES ?root {{ <{LIVE}> wikibase:Dump }}
  ?root schema:dateModified ?t
}}"""


def probe() -> str:
    """A few nodes that carry a revision (``?node``), and what they are about (``?about``): tells the shape."""
    return f"""{PREFIXES}
SELECT ?node ?about WHERE {{
  {{ SELECT ?node WHERE {{ ?node schema:version ?rev }} LIMIT 20 }}
  OPTIONAL {{ ?node schema:about ?about }}
}}"""


def heads(items: Sequence[str], shape: Shape) -> str:
    """Q1. ``?item ?rev ?modified ?target``: at least one row an item; nothing bound means deleted."""
    return f"{PREFIXES}\nSELECT ?item ?rev ?modified ?target WHERE {{\n{_heads(items, shape)}\n}}"


def labels(items: Sequence[str], language: str) -> str:
    """``?item ?label ?alias``: labels and aliases in ``language`` and in the multilingual default.

    A redirect has none, and goes by those of the item that it leads to: statements may name it until a bot has
    corrected them.
    """
    led = _labels(items, language, "?item owl:sameAs ?target . ?target")
    return f"{PREFIXES}\nSELECT ?item ?label ?alias WHERE {{\n{_labels(items, language)} UNION\n{led}\n}}"


def records(items: Sequence[str], properties: Sequence[str], language: str, shape: Shape) -> str:
    """Q2 for a page of items: heads, labels and statements in one query, and so of one snapshot of the store.

    Rows are of three kinds, told apart by what they bind: ``?st`` (a statement), ``?label`` or ``?alias``, or none
    of these (a head). A statement is one row, or several where a qualifier has several values.
    """
    branches = [_heads(items, shape), _labels(items, language)]
    branches += [_statements(items, property_id(p), shape) for p in properties]
    union = "\n} UNION {\n".join(branches)
    keys = "?item ?rev ?modified ?target ?label ?alias ?property ?st ?rank ?value ?none ?precision ?unit " + " ".join(
        f"?{q} ?{q}Time ?{q}Precision" for q in QUALIFIERS
    )
    return f"""{PREFIXES}
SELECT {keys} (COUNT(DISTINCT ?ref) AS ?refs) WHERE {{ {{
{union}
}} }} GROUP BY {keys}"""


def subjects(pattern: str, *, after: str, limit: int) -> str:
    """One page of the items that ``pattern`` finds, in the order of their IRIs, beginning after the IRI ``after``.

    Paged by the last IRI seen and not by OFFSET: an item that appears or vanishes between two pages can't push
    another one out of sight.
    """
    return f"""{PREFIXES}
SELECT DISTINCT ?item WHERE {{
  {{
{pattern}
  }}
  FILTER(STRSTARTS(STR(?item), "{ENTITY}Q") && STR(?item) > "{after}")
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


def _statements(items: Sequence[str], prop: str, shape: Shape) -> str:
    revision = {
        Shape.SERVICE: "?item schema:version ?rev .",
        Shape.DUMP: "OPTIONAL { ?data schema:about ?item ; schema:version ?rev }",
    }[shape]
    qualifiers = "\n".join(_qualifier(name, pid) for name, pid in QUALIFIERS.items())
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
