"""The texts of the queries: plain SPARQL 1.1, so that all engines give the same answers.

Some rules keep them fast and safe. Predicates are constants, and every branch of a UNION has its own ``VALUES``, so
that no engine needs to plan its joins well. Identifiers are checked before they are put into a query; labels are never
put into one. Nothing is grouped by more than two variables (Virtuoso allows 20), and no OPTIONAL follows a bare
``VALUES`` (rdflib would lose rows). Answers with many rows also say how many there must be, because engines limit
answers without saying so.

The names of classes and predicates are those of Wikibase's RDF (mediawiki.org, "Wikibase/Indexing/RDF Dump Format").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from kbsync.domain.errors import BadIdentifier
from kbsync.domain.languages import CODE, wanted_tags
from kbsync.domain.statement import item_id, property_id
from kbsync.wikidata.answers import Term

LIVE = "http://www.wikidata.org"
"""The node whose date the live service updates at every change; also the beginning of all of Wikidata's IRIs."""
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
    """Concept base: the beginning of all IRIs, without a slash at its end."""
    start: str = "P580"
    """Property of the qualifier "start time"; empty where there is none."""
    end: str = "P582"
    """Property of the qualifier "end time"; empty where there is none."""
    point: str = "P585"
    """Property of the qualifier "point in time"; empty where there is none."""

    @property
    def prefixes(self) -> str:
        """The beginning of every query; a relation's ``subject_pattern`` may use all of these prefixes."""
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

        In another Wikibase, Wikidata's own items are no items; its unit for "none" is the only exception.
        """
        if self.base == LIVE or term.kind != "uri":
            return term
        if term.text == self.base or term.text.startswith(f"{self.base}/"):
            return term._replace(text=LIVE + term.text.removeprefix(self.base))
        if term.text.startswith(ENTITY) and term.text != NO_UNIT:
            return term._replace(text=term.text.replace("http://", "https://", 1))
        return term


WIKIDATA = Vocabulary()


class Shape(StrEnum):
    """Where an endpoint keeps an item's revision and date."""

    SERVICE = "service"
    """On the item itself, where the public service's loader puts them."""
    DUMP = "dump"
    """On a data node that is ``schema:about`` the item, as in the published dumps."""


def language_code(text: str) -> str:
    """Check a language code such as ``en`` or ``pt-br``. Raises ``BadIdentifier``."""
    if not re.fullmatch(CODE, text):
        raise BadIdentifier(f"{text!r} is not a language code as Wikidata writes them (en, pt-br).")
    return text


def server_time(vocabulary: Vocabulary = WIKIDATA) -> str:
    """Q0. ``?root ?t``: the time of the newest change that the endpoint knows; a dump states it for its own node."""
    return f"""{vocabulary.prefixes}
SELECT ?root ?t WHERE {{
  VALUES ?root {{ <{vocabulary.base}> wikibase:Dump }}
  ?root schema:dateModified ?t
}}"""


def probe(vocabulary: Vocabulary = WIKIDATA) -> str:
    """A few nodes that have a revision (``?node``), and what they are about (``?about``), which tells the shape."""
    return f"""{vocabulary.prefixes}
SELECT ?node ?about WHERE {{
  {{ SELECT ?node WHERE {{ ?node schema:version ?rev }} LIMIT 20 }}
  OPTIONAL {{ ?node schema:about ?about }}
}}"""


def heads(items: Sequence[str], shape: Shape, vocabulary: Vocabulary = WIKIDATA) -> str:
    """Q1. ``?item ?rev ?modified ?target``: at least one row per item. One that binds nothing else means: deleted."""
    return f"{vocabulary.prefixes}\nSELECT ?item ?rev ?modified ?target WHERE {{\n{_heads(items, shape)}\n}}"


def labels(items: Sequence[str], language: str, vocabulary: Vocabulary = WIKIDATA) -> str:
    """``?item ?label ?alias ?target``: labels and aliases in ``language`` and for all languages.

    A redirect has none of its own, and a row with the item that it leads to. One row binds ``?names``, the number of
    all others.
    """
    branches = [*_labels(items, language), f"{_values(items)}\n  ?item owl:sameAs ?target"]
    return f"""{vocabulary.prefixes}
SELECT ?item ?label ?alias ?target ?names WHERE {{
{_union([*branches, _tally("COUNT(*) AS ?names", branches)])}
}}"""


def records(
    items: Sequence[str], properties: Sequence[str], language: str, shape: Shape, vocabulary: Vocabulary = WIKIDATA
) -> str:
    """Q2 for a page of items: heads, labels and statements in one query, and so from one snapshot of the store.

    What a row binds tells its kind: ``?rank`` (a statement; several rows where a qualifier has several values),
    ``?refs`` (the same statement's number of references), ``?label`` or ``?alias``, ``?names`` (the number of all
    labels and aliases), ``?statements`` (the number of all statements), or none of these (a head).
    """
    names = _labels(items, language)
    cores = [_statement(items, property_id(p), shape) for p in properties]
    branches = [_heads(items, shape), *names, _tally("COUNT(*) AS ?names", names)]
    branches += [core + _details(p, shape, vocabulary) for core, p in zip(cores, properties, strict=True)]
    branches += [_references(core) for core in cores]
    if cores:
        branches.append(_tally("COUNT(DISTINCT ?st) AS ?statements", cores))
    variables = (
        "?item ?rev ?modified ?target ?label ?alias ?property ?st ?rank ?value ?none ?precision ?calendar ?unit "
        + " ".join(f"?{q} ?{q}Time ?{q}Precision" for q in vocabulary.qualifiers)
    )
    return f"""{vocabulary.prefixes}
SELECT {variables} ?refs ?names ?statements WHERE {{
{_union(branches)}
}}"""


def subjects(pattern: str, *, after: str, limit: int, vocabulary: Vocabulary = WIKIDATA) -> str:
    """A page of the items that ``pattern`` finds.

    A page begins after the last IRI of the page before, and not at an OFFSET, so that no item is skipped when another
    one appears or vanishes between two pages.

    Args:
        pattern: SPARQL graph pattern that binds ``?item``.
        after: The page begins after this IRI; empty: at the first item.

    Returns:
        The text of a query for ``?item``, in the order of the IRIs.
    """
    return f"""{vocabulary.prefixes}
SELECT DISTINCT ?item WHERE {{
  {{
{pattern}
  }}
  FILTER(STRSTARTS(STR(?item), "{vocabulary.base}/entity/Q") && STR(?item) > "{after}")
}} ORDER BY STR(?item) LIMIT {limit:d}"""


def _values(items: Sequence[str]) -> str:
    return f"  VALUES ?item {{ {' '.join('wd:' + item_id(i) for i in items)} }}"


def _union(branches: Sequence[str]) -> str:
    return "{\n" + "\n} UNION {\n".join(branches) + "\n}"


def _tally(count: str, branches: Sequence[str]) -> str:
    """One row with the number of rows that ``branches`` find, so that missing rows are noticed."""
    return f"  SELECT ({count}) WHERE {{\n{_union(branches)}\n  }}"


def _heads(items: Sequence[str], shape: Shape) -> str:
    newest = {
        Shape.SERVICE: "OPTIONAL { ?item schema:version ?rev } OPTIONAL { ?item schema:dateModified ?modified }",
        Shape.DUMP: "OPTIONAL { ?data schema:about ?item ; schema:version ?rev "
        "OPTIONAL { ?data schema:dateModified ?modified } }",
    }[shape]
    return f"""  {{ SELECT ?item WHERE {{ {_values(items)} }} }}
  {newest}
  OPTIONAL {{ ?item owl:sameAs ?target }}"""


def _labels(items: Sequence[str], language: str) -> list[str]:
    """Branches for labels and for aliases."""
    tags = ", ".join(f'"{tag}"' for tag in wanted_tags(language_code(language)))
    wanted = f"LCASE(LANG(?{{}})) IN ({tags})"
    return [
        f"{_values(items)}\n  ?item rdfs:label ?label FILTER({wanted.format('label')})",
        f"{_values(items)}\n  ?item skos:altLabel ?alias FILTER({wanted.format('alias')})",
    ]


def _statement(items: Sequence[str], prop: str, shape: Shape) -> str:
    revision = {Shape.SERVICE: "\n  ?item schema:version ?rev .", Shape.DUMP: ""}[shape]
    return f"""{_values(items)}
  ?item p:{prop} ?st . ?st wikibase:rank ?rank .{revision}"""


def _details(prop: str, shape: Shape, vocabulary: Vocabulary) -> str:
    """What a statement says, beside its rank."""
    revision = {Shape.SERVICE: "", Shape.DUMP: "\n  OPTIONAL { ?data schema:about ?item ; schema:version ?rev }"}[shape]
    qualifiers = "\n".join(_qualifier(name, pid) for name, pid in vocabulary.qualifiers.items())
    return f"""{revision}
  BIND(wd:{prop} AS ?property)
  OPTIONAL {{ ?st a wdno:{prop} BIND(true AS ?none) }}
  OPTIONAL {{ ?st ps:{prop} ?value }}
  OPTIONAL {{ ?st psv:{prop} ?timeNode . ?timeNode wikibase:timePrecision ?precision
    OPTIONAL {{ ?timeNode wikibase:timeCalendarModel ?calendar }} }}
  OPTIONAL {{ ?st psv:{prop} ?unitNode . ?unitNode wikibase:quantityUnit ?unit }}
{qualifiers}"""


def _references(core: str) -> str:
    """A row for each statement, also for one without references, so that a missing row is noticed."""
    return f"""  SELECT ?item ?st (COUNT(DISTINCT ?ref) AS ?refs) WHERE {{
{core}
  OPTIONAL {{ ?st prov:wasDerivedFrom ?ref }}
  }} GROUP BY ?item ?st"""


def _qualifier(name: str, prop: str) -> str:
    """The simple value, and the full one with its precision where the endpoint has value nodes.

    Two patterns and a nested OPTIONAL, and not three patterns, make Oxigraph look up each statement; otherwise, for
    more than about a hundred items, it joins with all time nodes of the store.
    """
    return f"""  OPTIONAL {{ ?st pq:{prop} ?{name} }}
  OPTIONAL {{ ?st pqv:{prop} ?{name}Node . ?{name}Node wikibase:timePrecision ?{name}Precision
    OPTIONAL {{ ?{name}Node wikibase:timeValue ?{name}Time }} }}"""
