"""The demo world as the Wikidata adapter reads it: the table there and back, and what its changes make believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from kbsync.demo.changes import apply_changes
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.demo.table import Kind, Row, Table
from kbsync.domain.fact import FactKey, FactRecord, FactState, observe, settle
from kbsync.domain.relation import Relation
from kbsync.domain.standing import Clocks
from kbsync.domain.statement import ItemId, ItemRecord, Statement
from kbsync.wikidata.client import SparqlClient
from kbsync.wikidata.local import OxigraphServer
from kbsync.wikidata.source import WikidataSource
from tests.support.demo_fixtures import demo_relations

RELATIONS = demo_relations()


def read(source: WikidataSource, table: Table) -> dict[ItemId, ItemRecord]:
    items = sorted({row.subject for row in table.statements})
    pages = source.records(items, [relation.property for relation in RELATIONS])
    return {record.head.id: record for page in pages for record in page}


def states(records: dict[ItemId, ItemRecord], now: datetime) -> dict[FactKey, tuple[Relation, FactState]]:
    found = {}
    for relation in RELATIONS:
        for subject in relation.subjects:
            record = records[subject]
            statements = [s for s in record.statements if s.property == relation.property]
            assert record.head.modified
            state = observe(
                statements,
                relation.cardinality,
                revision=record.head.revision,
                since=record.head.modified,
                now=now,
            )
            found[FactKey(subject, relation.property)] = (relation, state)
    return found


@pytest.fixture
def source(moment: datetime) -> Iterator[tuple[OxigraphServer, WikidataSource]]:
    with OxigraphServer() as server:
        server.load(snapshot_turtle(moment))
        yield (
            server,
            WikidataSource(SparqlClient(server.endpoint, user_agent="kbsync tests (mailto:tests@kbsync.invalid)")),
        )


def content(statement: Statement) -> tuple[object, ...]:
    assert statement.value
    return (
        statement.subject,
        statement.property,
        statement.value.text,
        statement.rank,
        statement.start,
        statement.end,
        statement.references,
    )


def row_content(row: Row) -> tuple[object, ...]:
    return (row.subject, row.property, row.object, row.rank, row.start, row.end, row.references)


def test_the_table_comes_back_whole(source: tuple[OxigraphServer, WikidataSource], table: Table) -> None:
    _, adapter = source
    records = read(adapter, table)
    found = Counter(content(s) for record in records.values() for s in record.statements)
    assert found == Counter(map(row_content, table.statements))
    for item, record in records.items():
        assert (record.labels.label, set(record.labels.aliases)) == (
            table.items[item].label,
            set(table.items[item].aliases),
        )


def test_changes_are_believed_and_vandalism_is_not(
    source: tuple[OxigraphServer, WikidataSource], table: Table, moment: datetime
) -> None:
    server, adapter = source
    first = {
        key: settle(FactRecord(key=key, observed=state, believed=None), relation.trust, Clocks(moment, moment))
        for key, (relation, state) in states(read(adapter, table), moment).items()
    }
    assert all(record.believed for record in first.values()), "every fact of the snapshot is old enough to be trusted"

    later = moment + timedelta(minutes=10)
    mark = adapter.server_time()
    apply_changes(server, later)
    assert adapter.server_time() == later > mark
    second = {
        key: settle(
            FactRecord(key=key, observed=state, believed=first[key].believed), relation.trust, Clocks(later, later)
        )
        for key, (relation, state) in states(read(adapter, table), later).items()
    }

    changed = {key for key in first if second[key].believed.values != first[key].believed.values}  # type: ignore[union-attr]
    expected = {FactKey(c.subject, c.property): c for c in table.changes}
    assert changed == {key for key, change in expected.items() if change.kind is not Kind.VANDALISM}
    for key, change in expected.items():
        believed, observed = second[key].believed, second[key].observed
        assert believed
        values = [value.text for value in believed.values]
        match change.kind:
            case Kind.CHANGE:
                assert values == [change.new]
                assert change.old in {value.text for value in believed.former}
            case Kind.RETRACTION:
                assert values == []
            case Kind.VANDALISM:
                assert values == [change.old]
                assert [value.text for value in observed.values] == [change.new]
                assert second[key].pending
