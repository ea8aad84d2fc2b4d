"""The snapshot: the world before it changes, as RDF."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyoxigraph

from kbsync.demo import rdf
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.demo.table import Table
from tests.support.demo_world import PREFIXES
from tests.support.rdf_rows import rows


def count(store: pyoxigraph.Store, pattern: str) -> int:
    [row] = rows(store, PREFIXES + f"SELECT (COUNT(*) AS ?count) WHERE {{ {pattern} }}")
    return int(row["count"].value)


class TestSnapshot:
    def test_counts_agree_with_the_table(self, store: pyoxigraph.Store, table: Table) -> None:
        rows = table.statements
        assert count(store, "?st a wikibase:Statement") == len(rows)
        assert count(store, "?item a wikibase:Item") == len(table.items)
        assert count(
            store, "?item a wikibase:Item ; rdfs:label ?l ; schema:version ?v ; schema:dateModified ?m"
        ) == len(table.items)
        assert count(store, "?item skos:altLabel ?alias") == sum(len(i.aliases) for i in table.items.values())
        assert count(store, "?st pq:P580 ?t ; pqv:P580/wikibase:timeValue ?t") == sum(r.start is not None for r in rows)
        assert count(store, "?st pq:P582 ?t ; pqv:P582/wikibase:timeValue ?t") == sum(r.end is not None for r in rows)
        assert count(store, "?st prov:wasDerivedFrom/a wikibase:Reference") == sum(r.references for r in rows)

    def test_what_holds_is_best_and_truthy(self, store: pyoxigraph.Store, table: Table) -> None:
        live = {(r.subject, r.property, r.object) for r in table.statements if r.end is None}
        for prop in table.properties:
            query = f"SELECT ?s ?o WHERE {{ ?s p:{prop} ?st ; wdt:{prop} ?o . ?st ps:{prop} ?o ; a wikibase:BestRank }}"
            found = {
                tuple(row[v].value.removeprefix(rdf.ENTITY) for v in ("s", "o"))
                for row in rows(store, PREFIXES + query)
            }
            assert found == {(s, o) for s, p, o in live if p == prop}
            assert count(store, f"?s wdt:{prop} ?o") == len(found)

    def test_time_nodes_carry_the_precision(self, store: pyoxigraph.Store, table: Table) -> None:
        wanted = {t.iso[:10]: t.precision for r in table.statements for t in (r.start, r.end) if t}
        assert set(wanted.values()) == {9, 10, 11}
        query = """SELECT ?t ?p WHERE { ?v a wikibase:TimeValue ; wikibase:timeValue ?t ; wikibase:timePrecision ?p ;
                   wikibase:timeTimezone 0 ; wikibase:timeCalendarModel wd:Q1985727 }"""
        found = {(row["t"].value[:10], int(row["p"].value)) for row in rows(store, PREFIXES + query)}
        assert found == {(t.iso[:10], t.precision) for r in table.statements for t in (r.start, r.end) if t}

    def test_same_moment_same_bytes_and_later_moment_same_statements(self, moment: datetime) -> None:
        first = snapshot_turtle(moment)
        assert snapshot_turtle(moment) == first
        later = snapshot_turtle(moment + timedelta(days=1))
        differing = set(first.splitlines()) ^ set(later.splitlines())
        assert differing
        assert all(rdf.MODIFIED in line for line in differing)

    def test_every_item_was_edited_long_ago(self, store: pyoxigraph.Store, moment: datetime) -> None:
        query = "SELECT ?m WHERE { ?item a wikibase:Item ; schema:dateModified ?m }"
        stamps = [datetime.fromisoformat(row["m"].value) for row in rows(store, PREFIXES + query)]
        assert max(stamps) <= moment - timedelta(days=7)
