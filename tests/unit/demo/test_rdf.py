"""Items and statements as RDF."""

from __future__ import annotations

import dataclasses
from datetime import datetime

import pyoxigraph
import pytest

from kbsync.demo import rdf
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.demo.table import Item, Row, time_point
from kbsync.domain.statement import Rank, item_id, property_id
from tests.support.rdf_rows import rows

PREFIXES = """
PREFIX wd: <http://www.wikidata.org/entity/> PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX p: <http://www.wikidata.org/prop/> PREFIX ps: <http://www.wikidata.org/prop/statement/>
PREFIX pq: <http://www.wikidata.org/prop/qualifier/> PREFIX pqv: <http://www.wikidata.org/prop/qualifier/value/>
PREFIX wikibase: <http://wikiba.se/ontology#> PREFIX prov: <http://www.w3.org/ns/prov#>
PREFIX schema: <http://schema.org/> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX skos: <http://www.w3.org/2004/02/skos/core#>
"""


@pytest.fixture(scope="module")
def store(moment: datetime) -> pyoxigraph.Store:
    store = pyoxigraph.Store()
    store.bulk_load(input=snapshot_turtle(moment).encode(), format=pyoxigraph.RdfFormat.TURTLE)
    return store


class TestRdf:
    ROW = Row(
        subject=item_id("Q1"),
        property=property_id("P36"),
        object=item_id("Q2"),
        rank=Rank.NORMAL,
        start=time_point("2020"),
        end=None,
        references=2,
    )

    def test_a_statement_keeps_its_id_when_it_ends(self) -> None:
        ended = dataclasses.replace(self.ROW, end=time_point("2021-05"), rank=Rank.DEPRECATED)
        assert rdf.statement_node(ended) == rdf.statement_node(self.ROW)
        other = dataclasses.replace(self.ROW, start=time_point("2022"))
        assert rdf.statement_node(other) != rdf.statement_node(self.ROW)

    def test_deprecated_statements_are_never_best(self) -> None:
        deprecated = dataclasses.replace(self.ROW, rank=Rank.DEPRECATED)
        assert rdf.best_rank([deprecated]) is None
        assert not any("BestRank" in line or "direct" in line for line in rdf.group_lines([deprecated]))

    def test_references_are_separate_nodes(self) -> None:
        assert len({line for line in rdf.statement_lines(self.ROW, best=True) if rdf.DERIVED_FROM in line}) == 2

    def test_any_label_survives(self) -> None:
        label = 'a "b" \\ c\n\t{d} é 漢 \u202e'
        item = Item(id=item_id("Q1"), label=label, aliases=())
        store = pyoxigraph.Store()
        store.load(input="\n".join(rdf.item_lines(item)).encode(), format=pyoxigraph.RdfFormat.N_TRIPLES)
        [row] = rows(store, PREFIXES + "SELECT ?l WHERE { wd:Q1 rdfs:label ?l }")
        assert row["l"].value == label
