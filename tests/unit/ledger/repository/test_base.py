"""What all repositories share: batches, and rows that are inserted or replaced."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from kbsync.ledger import tables
from kbsync.ledger.engine import make_engine, parse_url, writing
from kbsync.ledger.repository.base import Repository, batches


@pytest.fixture
def repository(ledger_url: str) -> Iterator[Repository]:
    engine = make_engine(parse_url(ledger_url))
    with writing(engine) as connection:
        yield Repository(connection)
        connection.rollback()
    engine.dispose()


def labels(repository: Repository) -> dict[str, str]:
    rows = repository._connection.execute(select(tables.labels.c.item, tables.labels.c.label))
    return {row.item: row.label for row in rows}


def row(item: str, label: str) -> dict[str, object]:
    return {"item": item, "label": label, "aliases": ()}


def test_batches_hold_everything_in_order() -> None:
    assert list(batches(range(5), 2)) == [range(2), range(2, 4), range(4, 5)]
    assert list(batches([], 2)) == []
    assert [len(batch) for batch in batches(range(1200))] == [500, 500, 200]


def test_rows_are_inserted_once(repository: Repository) -> None:
    repository._insert(tables.labels, [row("Q1", "one"), row("Q2", "two")])
    repository._insert(tables.labels, [])
    assert labels(repository) == {"Q1": "one", "Q2": "two"}
    with pytest.raises(IntegrityError):
        repository._insert(tables.labels, [row("Q1", "again")])


def test_rows_are_inserted_or_replaced(repository: Repository) -> None:
    repository._upsert(tables.labels, [row("Q1", "one")])
    repository._upsert(tables.labels, [row("Q1", "uno"), row("Q2", "two")])
    repository._upsert(tables.labels, [])
    assert labels(repository) == {"Q1": "uno", "Q2": "two"}
