"""The snapshot of the demonstration in a store, and what a server of it is asked."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from datetime import datetime

import pyoxigraph
import pytest

from kbsync.demo import rdf
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.wikidata.local import OxigraphServer

PREFIXES = """
PREFIX wd: <http://www.wikidata.org/entity/> PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX p: <http://www.wikidata.org/prop/> PREFIX ps: <http://www.wikidata.org/prop/statement/>
PREFIX pq: <http://www.wikidata.org/prop/qualifier/> PREFIX pqv: <http://www.wikidata.org/prop/qualifier/value/>
PREFIX wikibase: <http://wikiba.se/ontology#> PREFIX prov: <http://www.w3.org/ns/prov#>
PREFIX schema: <http://schema.org/> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
"""


Bindings = list[dict[str, str]]


def ask(server: OxigraphServer, query: str) -> Bindings:
    """Rows of plain text; entity IRIs are cut to their ids."""
    body = urllib.parse.urlencode({"query": PREFIXES + query}).encode()
    request = urllib.request.Request(
        server.endpoint, data=body, headers={"Accept": "application/sparql-results+json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        rows = json.load(response)["results"]["bindings"]
    return [{name: cell["value"].removeprefix(rdf.ENTITY) for name, cell in row.items()} for row in rows]


def statements(server: OxigraphServer, subject: str, prop: str) -> dict[str, dict[str, str]]:
    """Statements of a fact by value."""
    rows = ask(
        server,
        f"""SELECT ?st ?value ?rank ?best ?start ?end (COUNT(?ref) AS ?refs) WHERE {{
          wd:{subject} p:{prop} ?st . ?st ps:{prop} ?value ; wikibase:rank ?rank .
          BIND(EXISTS {{ ?st a wikibase:BestRank }} AS ?best)
          OPTIONAL {{ ?st pq:P580 ?start }} OPTIONAL {{ ?st pq:P582 ?end }}
          OPTIONAL {{ ?st prov:wasDerivedFrom ?ref }} }} GROUP BY ?st ?value ?rank ?best ?start ?end""",
    )
    return {row["value"]: row for row in rows}


@pytest.fixture(scope="module")
def store(moment: datetime) -> pyoxigraph.Store:
    store = pyoxigraph.Store()
    store.bulk_load(input=snapshot_turtle(moment).encode(), format=pyoxigraph.RdfFormat.TURTLE)
    return store
