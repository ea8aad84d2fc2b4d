"""A ``FakeSource``'s world as Turtle in Wikidata's shape, with the other triples that surround a real item."""

from __future__ import annotations

import hashlib
import json

from kbsync.domain.statement import ItemId, Snak, Statement, TimePoint, Value, ValueKind
from kbsync.testing.fake_source import FakeItem, FakeSource

PREFIXES = """\
@prefix rdf: <http://www.w3.org/1999/02/22-rdf-syntax-ns#> .
@prefix rdfs: <http://www.w3.org/2000/01/rdf-schema#> .
@prefix xsd: <http://www.w3.org/2001/XMLSchema#> .
@prefix owl: <http://www.w3.org/2002/07/owl#> .
@prefix skos: <http://www.w3.org/2004/02/skos/core#> .
@prefix schema: <http://schema.org/> .
@prefix prov: <http://www.w3.org/ns/prov#> .
@prefix wikibase: <http://wikiba.se/ontology#> .
@prefix wd: <http://www.wikidata.org/entity/> .
@prefix data: <https://www.wikidata.org/wiki/Special:EntityData/> .
@prefix s: <http://www.wikidata.org/entity/statement/> .
@prefix ref: <http://www.wikidata.org/reference/> .
@prefix v: <http://www.wikidata.org/value/> .
@prefix wdt: <http://www.wikidata.org/prop/direct/> .
@prefix p: <http://www.wikidata.org/prop/> .
@prefix ps: <http://www.wikidata.org/prop/statement/> .
@prefix psv: <http://www.wikidata.org/prop/statement/value/> .
@prefix pq: <http://www.wikidata.org/prop/qualifier/> .
@prefix pqv: <http://www.wikidata.org/prop/qualifier/value/> .
@prefix wdno: <http://www.wikidata.org/prop/novalue/> .
"""

RANKS = {"preferred": "PreferredRank", "normal": "NormalRank", "deprecated": "DeprecatedRank"}


def turtle(world: FakeSource, *, shape: str = "service", nodes: bool = True, blank: bool = False) -> str:
    """A world's triples.

    Args:
        world: Its items.
        shape: Where revisions are, ``service`` or ``dump``, as ``kbsync.wikidata.queries.Shape`` says.
        nodes: Whether times and quantities have their value nodes.
        blank: Whether unknown values are blank nodes; else they are IRIs under ``/.well-known/genid/``.
    """
    root = "<http://www.wikidata.org>" if shape == "service" else "wikibase:Dump"
    lines = [PREFIXES, f"{root} schema:dateModified {_date(world.now.strftime('%Y-%m-%dT%H:%M:%SZ'))} ."]
    for item, content in world.items.items():
        lines += _item(item, content, shape)
        for statement in content.statements:
            lines += _statement(statement, nodes=nodes, blank=blank)
    return "\n".join(lines)


def statement_node(statement: Statement) -> str:
    return "s:" + statement.id.replace("$", "-")


def _item(item: ItemId, content: FakeItem, shape: str) -> list[str]:
    revision = f"schema:version {content.revision}"
    modified = f"schema:dateModified {_date(content.modified.strftime('%Y-%m-%dT%H:%M:%SZ'))}"
    head = f"wd:{item}" if shape == "service" else f"data:{item} schema:about wd:{item} ;"
    lines = [f"{head} {revision} ; {modified} ."]
    if content.redirect_to:
        return [*lines, f"wd:{item} owl:sameAs wd:{content.redirect_to} ."]
    lines.append(f'wd:{item} a wikibase:Item ; rdfs:label "nom {item}"@fr ; skos:altLabel "autre {item}"@fr .')
    lines.append(f'<https://en.wikipedia.org/wiki/{item}> schema:about wd:{item} ; schema:name "Page"@en .')
    if content.label is not None:
        lines.append(f"wd:{item} rdfs:label {_text(content.label)}@en .")
    lines += [f"wd:{item} skos:altLabel {_text(alias)}@en ." for alias in content.aliases]
    return lines


def _statement(statement: Statement, *, nodes: bool, blank: bool) -> list[str]:
    node, prop = statement_node(statement), statement.property
    lines = [
        f"wd:{statement.subject} p:{prop} {node} .",
        f"{node} a wikibase:Statement ; wikibase:rank wikibase:{RANKS[statement.rank.value]} ; pq:P1013 wd:Q1 .",
    ]
    lines += [f"{node} prov:wasDerivedFrom ref:{_hash(f'{statement.id}{n}')} ." for n in range(statement.references)]
    if statement.snak is Snak.NOVALUE:
        lines.append(f"{node} a wdno:{prop} .")
    elif statement.snak is Snak.SOMEVALUE:
        genid = f"<http://www.wikidata.org/.well-known/genid/{_hash(statement.id)}>"
        lines.append(f"{node} ps:{prop} {'[]' if blank else genid} .")
    elif statement.value is not None:
        lines += _value(node, prop, statement.value, nodes)
    for name, qualifier in (("start", "P580"), ("end", "P582"), ("point_in_time", "P585")):
        time: TimePoint | None = getattr(statement, name)
        if time is not None:
            lines.append(f"{node} pq:{qualifier} {_date(time.iso)} .")
            if nodes:
                lines += _time_node(f"{node} pqv:{qualifier}", time.iso, time.precision)
    return lines


def _value(node: str, prop: str, value: Value, nodes: bool) -> list[str]:
    if value.kind is ValueKind.ITEM:
        return [f"{node} ps:{prop} wd:{value.text} ."]
    if value.kind is ValueKind.MONOLINGUAL:
        return [f"{node} ps:{prop} {_text(value.text)}@{value.detail} ."]
    if value.kind is ValueKind.STRING:
        return [f"{node} ps:{prop} {_text(value.text)} ."]
    if value.kind is ValueKind.TIME:
        time = _astronomical(value.text)
        lines = [f"{node} ps:{prop} {_date(time)} ."]
        return lines + (_time_node(f"{node} psv:{prop}", time, int(value.detail)) if nodes else [])
    if value.kind is ValueKind.QUANTITY:
        lines = [f'{node} ps:{prop} "{value.text}"^^xsd:decimal .']
        unit = f"v:{_hash(value.text + value.detail)}"
        tied = f'{node} psv:{prop} {unit} . {unit} wikibase:quantityAmount "{value.text}"^^xsd:decimal ; '
        return lines + ([f"{tied} wikibase:quantityUnit wd:{value.detail or 'Q199'} ."] if nodes else [])
    return [f"{node} ps:{prop} <{value.text}> ."]


def _time_node(subject: str, iso: str, precision: int) -> list[str]:
    node = f"v:{_hash(f'{iso}/{precision}')}"
    return [
        f"{subject} {node} .",
        f"{node} wikibase:timeValue {_date(iso)} ; wikibase:timePrecision {precision} ; "
        "wikibase:timeCalendarModel wd:Q1985727 .",
    ]


def _astronomical(iso: str) -> str:
    """A time as the RDF has it, where 1 BC is the year 0000."""
    year, dash, rest = iso.removeprefix("-").partition("-")
    before = int(year) - 1
    return f"{'-' if before else ''}{before:04d}{dash}{rest}" if iso.startswith("-") else iso


def _date(iso: str) -> str:
    return f'"{iso}"^^xsd:dateTime'


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _text(text: str) -> str:
    """A quoted string: JSON's escapes are Turtle's, as long as characters outside the BMP stay as they are."""
    return json.dumps(text, ensure_ascii=False)
