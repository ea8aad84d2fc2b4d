"""Wikidata's own words: items, properties, statements, ranks, qualifiers, as immutable values."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import NewType

from kbsync.domain.errors import BadIdentifier, DataError

ItemId = NewType("ItemId", str)
PropertyId = NewType("PropertyId", str)

_ITEM = re.compile(r"Q[1-9][0-9]{0,11}\Z")
_PROPERTY = re.compile(r"P[1-9][0-9]{0,11}\Z")


def item_id(text: str) -> ItemId:
    """Check an item id such as ``Q145``; raises ``BadIdentifier``."""
    if not _ITEM.match(text):
        raise BadIdentifier(f"{text!r} is not a Wikidata item id (Q and digits).")
    return ItemId(text)


def property_id(text: str) -> PropertyId:
    """Check a property id such as ``P35``; raises ``BadIdentifier``."""
    if not _PROPERTY.match(text):
        raise BadIdentifier(f"{text!r} is not a Wikidata property id (P and digits).")
    return PropertyId(text)


def property_path(text: str) -> PropertyId:
    """Check a property id, or two of them as in ``P6/P26``; raises ``BadIdentifier``."""
    first, slash, second = text.partition("/")
    return PropertyId(f"{property_id(first)}/{property_id(second)}") if slash else property_id(first)


class Rank(StrEnum):
    """How much editors prefer a statement to others of the same property."""

    PREFERRED = "preferred"
    NORMAL = "normal"
    DEPRECATED = "deprecated"


class Snak(StrEnum):
    """Whether a statement has a value, an unknown one (``somevalue``), or says that there is none."""

    VALUE = "value"
    SOMEVALUE = "somevalue"
    NOVALUE = "novalue"


class ValueKind(StrEnum):
    """Types of values, in Wikidata's words."""

    ITEM = "item"
    TIME = "time"
    QUANTITY = "quantity"
    STRING = "string"
    MONOLINGUAL = "monolingual"
    EXTERNAL_ID = "external-id"
    OTHER = "other"


@dataclass(frozen=True, slots=True, order=True)
class Value:
    """A statement's value."""

    kind: ValueKind
    text: str
    """The canonical lexical form: ``Q84``, ``1969-07-20T00:00:00Z``, ``+8849``, ``Paris``. A time is as the item's page
    shows it: in its own calendar, and with 44 BC as ``-0044``."""
    detail: str = ""
    """A time's precision (Wikidata's 0 to 14), a quantity's unit item, a text's language; empty for other kinds."""


@dataclass(frozen=True, slots=True)
class TimePoint:
    """A Wikidata time."""

    iso: str
    """``[+-]YYYY-MM-DDThh:mm:ssZ``; month and day may be 00."""
    precision: int = 11
    """0 to 14: 9 is a year, 10 a month, 11 a day."""

    def __post_init__(self) -> None:
        if not re.match(r"[+-]?[0-9]{4,16}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2}:[0-9]{2}Z)?\Z", self.iso):
            raise DataError(f"{self.iso!r} is not a Wikidata time.")

    def sort_key(self) -> tuple[int, ...]:
        """Year, month, day, hour, minute and second of the *earliest* instant that the precision allows.

        Wikidata writes a year as its first of January or with month and day 00, a decade or a century as a year.
        """
        sign = -1 if self.iso.startswith("-") else 1
        numbers = [int(n) for n in re.findall(r"[0-9]+", self.iso)]
        numbers[0] *= sign
        parts = numbers + [0] * (6 - len(numbers))
        keep = 1 if self.precision <= 9 else 2 if self.precision == 10 else 3 if self.precision == 11 else 6
        floor = (parts[0], 1, 1, 0, 0, 0)
        return tuple(max(p, floor[i]) if i else p for i, p in enumerate(parts[:keep])) + floor[keep:]

    def earliest(self) -> datetime | None:
        """The earliest instant of this time; None where it lies outside the years 1 to 9999."""
        try:
            return datetime(*self.sort_key(), tzinfo=UTC)  # type: ignore[arg-type, misc]
        except (ValueError, OverflowError):
            return None

    def reached(self, now: datetime) -> bool:
        """Whether the earliest instant of this time has passed; an end time of "2024" is reached when 2024 begins."""
        utc = now.astimezone(UTC)
        return self.sort_key() <= (utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second)


UNKNOWN_TIME = TimePoint("0000-00-00T00:00:00Z", 0)
"""An unknown time in the past: an end time with an unknown value still says that the statement has ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement as one revision of its item has it."""

    id: str
    """Wikidata's own (``Q145$UUID``); it stays when the content changes."""
    subject: ItemId
    property: PropertyId
    snak: Snak
    value: Value | None
    """None exactly where ``snak`` says that there is no known value."""
    rank: Rank
    start: TimePoint | None = None
    """Qualifier P580."""
    end: TimePoint | None = None
    """Qualifier P582."""
    point_in_time: TimePoint | None = None
    """Qualifier P585."""
    references: int = 0
    """The number of references."""

    def __post_init__(self) -> None:
        if (self.value is not None) != (self.snak is Snak.VALUE):
            raise DataError(
                f"Statement {self.id}: snak {self.snak.value} and value {self.value} contradict each other."
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemHead:
    """An item's newest revision, and whether it is deleted or redirects."""

    id: ItemId
    revision: int
    modified: datetime | None
    """When that revision was made, or the item was deleted; None where the source does not say."""
    redirect_to: ItemId | None = None
    deleted: bool = False

    def is_older_than(self, other: ItemHead) -> bool:
        """Whether this is what the item was before ``other``.

        A lower revision with a later date is newer all the same: then the higher revision was a mistake of the source.
        """
        if self.modified is not None and other.modified is not None and self.modified > other.modified:
            return False
        return self.revision < other.revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """An item's names in one language."""

    item: ItemId
    label: str | None
    """None where the item has no label in that language."""
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRecord:
    """A watched item at one revision, with all its statements of the watched properties."""

    head: ItemHead
    labels: Labels
    statements: tuple[Statement, ...] = ()
