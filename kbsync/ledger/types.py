# ruff: noqa: ARG002 (SQLAlchemy prescribes the signatures of the two processing methods)
"""Column types: the domain's values on the way into the database and back, the same on SQLite and PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any

from pydantic import TypeAdapter
from sqlalchemy import BigInteger, Boolean, DateTime, Dialect, Integer, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from kbsync.domain.canonical import CanonicalJson, canonical_json, timestamp
from kbsync.domain.errors import Damaged, DataError
from kbsync.domain.statement import TimePoint

Whole = BigInteger().with_variant(Integer(), "sqlite")
"""64-bit integers. SQLite's INTEGER always is one, and its STRICT tables know no other name for it."""


class Timestamp(TypeDecorator[datetime]):
    """An aware datetime in UTC with microseconds: ``timestamptz`` on PostgreSQL, canonical text (which sorts in the
    order of time) on SQLite. Naive datetimes are refused (``DataError``)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise DataError(f"The time {value} has no time zone and can't be recorded.")
        return timestamp(value) if dialect.name == "sqlite" else value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        at: datetime | None = None if value is None else _read(utc, value)
        return at


def utc(stored: datetime | str) -> datetime:
    """The time that is stored, in UTC; raises ``ValueError`` for text that is no time."""
    at = datetime.fromisoformat(stored) if isinstance(stored, str) else stored
    return at.astimezone(UTC)


class Flag(TypeDecorator[bool]):
    """True or false: BOOLEAN on PostgreSQL, 0 or 1 on SQLite."""

    impl = Boolean
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(Integer() if dialect.name == "sqlite" else Boolean())

    def process_result_value(self, value: Any, dialect: Dialect) -> bool | None:
        return None if value is None else bool(value)


class Word(TypeDecorator[StrEnum]):
    """A member of ``enum`` as its value; ``tables.one_of`` makes the constraint that goes with it."""

    impl = Text
    cache_ok = True

    def __init__(self, enum: type[StrEnum]) -> None:
        super().__init__()
        self.enum = enum

    def process_bind_param(self, value: StrEnum | None, dialect: Dialect) -> str | None:
        return None if value is None else value.value

    def process_result_value(self, value: str | None, dialect: Dialect) -> StrEnum | None:
        return None if value is None else _read(self.enum, value)


class Moment(TypeDecorator[TimePoint]):
    """A Wikidata time with its precision as ``+1952-02-06T00:00:00Z/11``."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: TimePoint | None, dialect: Dialect) -> str | None:
        return None if value is None else f"{value.iso}/{value.precision}"

    def process_result_value(self, value: str | None, dialect: Dialect) -> TimePoint | None:
        moment: TimePoint | None = None if value is None else _read(_time_point, value)
        return moment


class Document(TypeDecorator[Any]):
    """A value of type ``kind`` (a frozen dataclass of the domain, or plain data) as canonical JSON text.

    It is text and not the database's own JSON type, because content hashes cover exactly these bytes: JSONB writes
    numbers in its own way, and refuses NUL, which a model's answer may contain. A value whose text was made already is
    given as that text (:class:`CanonicalJson`).
    """

    impl = Text
    cache_ok = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        return value if value is None or isinstance(value, CanonicalJson) else _to_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        return None if value is None else _read(_adapter(self.kind).validate_json, value)


def _time_point(text: str) -> TimePoint:
    iso, _, precision = text.rpartition("/")
    return TimePoint(iso, int(precision))


def _read(convert: Callable[[Any], Any], value: Any) -> Any:
    """Convert a stored value; raises ``Damaged`` for one that kbsync can't have written."""
    try:
        return convert(value)
    except (ValueError, RecursionError) as error:
        shown = str(value)[:60]
        raise Damaged(
            f"The ledger holds {shown!r} where kbsync can't have written it.",
            next_step="`kbsync audit verify` names the rows that something other than kbsync changed.",
        ) from error


def _to_json(value: Any) -> str:
    """Canonical JSON; raises ``DataError`` for NaN and infinities, which JSON does not have."""
    try:
        return canonical_json(value)
    except ValueError as error:
        raise DataError(f"A value of type {type(value).__name__} can't be recorded: {error}.") from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
