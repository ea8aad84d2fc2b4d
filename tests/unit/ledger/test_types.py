"""The domain's values on their way into both databases and back."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import Column, Connection, MetaData, Table, text
from sqlalchemy.types import TypeEngine

from kbsync.domain.canonical import canonical_json
from kbsync.domain.errors import DataError
from kbsync.domain.statement import Rank, Statement, TimePoint
from kbsync.ledger.engine import make_engine, parse_url, writing
from kbsync.ledger.types import Document, Flag, Moment, Timestamp, Whole, Word, utc
from kbsync.testing.samples import statement


@pytest.fixture
def connection(ledger_url: str) -> Iterator[Connection]:
    engine = make_engine(parse_url(ledger_url))
    with writing(engine) as connection:
        yield connection
        connection.rollback()
    engine.dispose()


def there_and_back(connection: Connection, kind: TypeEngine[Any], value: Any) -> tuple[Any, Any]:
    """What comes back as the type, and what the database holds."""
    table = Table("sample", MetaData(), Column("value", kind), sqlite_strict=True)
    table.create(connection)
    connection.execute(table.insert().values(value=value))
    typed = connection.scalar(table.select())
    stored = connection.scalar(text("SELECT value FROM sample"))
    table.drop(connection)
    return typed, stored


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Whole, 2**62),
        (Flag(), True),
        (Flag(), False),
        (Word(Rank), Rank.PREFERRED),
        (Moment(), TimePoint("-13798000000-00-00T00:00:00Z", 3)),
        (Document(Statement), statement(1)),
        (Document(dict[str, Any]), {"text": "naïve \x00 東京", "numbers": [1.0, 1e300, -1e-17]}),
    ],
)
def test_values_come_back_as_they_were(connection: Connection, kind: TypeEngine[Any], value: Any) -> None:
    typed, _ = there_and_back(connection, kind, value)
    assert (typed, type(typed)) == (value, type(value))
    assert there_and_back(connection, kind, None) == (None, None)


def test_a_document_is_stored_as_the_text_that_its_hash_covers(connection: Connection) -> None:
    _, stored = there_and_back(connection, Document(dict[str, Any]), {"b": 1.50, "a": "é\x00"})
    assert stored == '{"a":"é\\u0000","b":1.5}'


def test_a_document_whose_text_was_made_already_is_stored_as_that_text(connection: Connection) -> None:
    kind, value = Document(dict[str, Any]), {"b": 1.50, "a": ["é"]}
    assert there_and_back(connection, kind, canonical_json(value)) == there_and_back(connection, kind, value)


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-7)), timezone(timedelta(hours=5, minutes=30))])
def test_times_come_back_in_utc_to_the_microsecond(connection: Connection, zone: timezone) -> None:
    at = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
    typed, stored = there_and_back(connection, Timestamp(), at.astimezone(zone))
    assert (typed, typed.utcoffset()) == (at, timedelta(0))
    assert utc(stored) == at


def test_stored_times_sort_as_text_on_sqlite(connection: Connection) -> None:
    moments = [datetime(2026, 3, 1, 12, tzinfo=UTC), datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)]
    stored = [there_and_back(connection, Timestamp(), at)[1] for at in moments]
    assert stored == sorted(stored)


def test_times_without_a_zone_are_refused(ledger_url: str) -> None:
    engine = make_engine(parse_url(ledger_url))
    with pytest.raises(DataError, match="no time zone"), writing(engine) as connection:
        there_and_back(connection, Timestamp(), datetime(2026, 1, 1))
    engine.dispose()


def test_text_that_is_no_time_is_an_error() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        utc("yesterday")


def test_numbers_that_json_can_not_say_are_refused(ledger_url: str) -> None:
    engine = make_engine(parse_url(ledger_url))
    with pytest.raises(DataError, match="type dict can't be recorded"), writing(engine) as connection:
        there_and_back(connection, Document(dict[str, Any]), {"figure": float("nan")})
    engine.dispose()
