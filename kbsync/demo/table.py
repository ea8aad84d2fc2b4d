"""The demonstration's facts: tables of real Wikidata items, statements and changes, read and checked.

The tables are tab-separated with a header line. Times are ISO dates whose length gives the precision: ``2020`` (year),
``2020-05`` (month), ``2020-05-11`` (day). The facts are Wikidata's (CC0). The tables are not a dump of one day: some
items are in an earlier state, so that ``changes.tsv`` can bring them up to date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from importlib.resources import files
from typing import TypeVar

from kbsync.domain.errors import DataError
from kbsync.domain.statement import ItemId, PropertyId, Rank, TimePoint, item_id, property_id

T = TypeVar("T")
_DATE = re.compile(r"(\d{4})(?:-(\d{2}))?(?:-(\d{2}))?\Z")
_YEAR_PRECISION = 9
"""Wikidata's code for the precision of a year; a month is one more, a day two more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    id: ItemId
    label: str
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One statement."""

    subject: ItemId
    property: PropertyId
    object: ItemId
    rank: Rank
    start: TimePoint | None
    end: TimePoint | None
    references: int
    """Number of its references."""


class Kind(StrEnum):
    """What happens to a statement."""

    CHANGE = "change"
    """It ends, and another begins."""
    RETRACTION = "retraction"
    """It is removed."""
    VANDALISM = "vandalism"
    """Its value is replaced by a wrong one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeRow:
    """A change of the live statement with the value ``old``."""

    kind: Kind
    subject: ItemId
    property: PropertyId
    old: ItemId
    end: TimePoint | None
    """When the old statement ends."""
    new: ItemId | None
    start: TimePoint | None
    """When the new statement begins."""
    rank: Rank
    """The new statement's rank: editors either move the preferred rank to it, or leave the old statement preferred."""
    references: int


@dataclass(frozen=True, slots=True)
class Table:
    items: dict[ItemId, Item]
    properties: dict[PropertyId, str]
    statements: tuple[Row, ...]
    changes: tuple[ChangeRow, ...]

    def label(self, item: ItemId) -> str:
        return self.items[item].label

    def group(self, subject: ItemId, prop: PropertyId) -> tuple[Row, ...]:
        """All statements of one subject and property."""
        return tuple(row for row in self.statements if (row.subject, row.property) == (subject, prop))

    def subjects(self, prop: PropertyId) -> tuple[ItemId, ...]:
        """Subjects of a property, in the table's order."""
        return tuple(dict.fromkeys(row.subject for row in self.statements if row.property == prop))


def load_table() -> Table:
    """Read the shipped tables. Raises ``DataError`` (for an id ``BadIdentifier``), which names file and line."""
    items = {item.id: item for item in _rows("items.tsv", _item)}
    properties = dict(_rows("properties.tsv", lambda cells: (property_id(cells["property"]), cells["label"])))
    table = Table(items, properties, tuple(_rows("statements.tsv", _statement)), tuple(_rows("changes.tsv", _change)))
    used = {i for r in table.statements for i in (r.subject, r.object)} | {c.new for c in table.changes if c.new}
    if missing := sorted(used - items.keys()):
        raise DataError(f"items.tsv lacks {', '.join(missing)}.")
    if unnamed := sorted({r.property for r in table.statements} - properties.keys()):
        raise DataError(f"properties.tsv lacks {', '.join(unnamed)}.")
    return table


def time_point(text: str) -> TimePoint | None:
    """Read a date: ``2020-05`` is May 2020 with month precision, an empty text is None.

    Missing parts become 01, as in Wikidata's RDF.

    Raises:
        DataError: The text is no such date.
    """
    if not text:
        return None
    match = _DATE.match(text)
    if not match:
        raise DataError(f"{text!r} is not a date such as 2020, 2020-05 or 2020-05-11.")
    year, *rest = match.groups()
    month, day = (part or "01" for part in rest)
    precision = _YEAR_PRECISION + sum(part is not None for part in rest)
    return TimePoint(f"{year}-{month}-{day}T00:00:00Z", precision)


def _rows(name: str, read: Callable[[dict[str, str]], T]) -> Iterator[T]:
    lines = files("kbsync.demo").joinpath("data", name).read_text(encoding="utf-8").splitlines()
    header = lines[0].split("\t")
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split("\t")
        try:
            if len(cells) != len(header):
                raise DataError(f"{len(cells)} cells, {len(header)} columns.")
            yield read(dict(zip(header, cells, strict=True)))
        except (DataError, ValueError) as error:
            raise DataError(f"{name}, line {number}: {error}", next_step="Correct the table.") from error


def _item(cells: dict[str, str]) -> Item:
    aliases = tuple(alias for alias in cells["aliases"].split("|") if alias)
    return Item(id=item_id(cells["item"]), label=cells["label"], aliases=aliases)


def _statement(cells: dict[str, str]) -> Row:
    return Row(
        subject=item_id(cells["subject"]),
        property=property_id(cells["property"]),
        object=item_id(cells["object"]),
        rank=Rank(cells["rank"]),
        start=time_point(cells["start"]),
        end=time_point(cells["end"]),
        references=int(cells["references"]),
    )


def _change(cells: dict[str, str]) -> ChangeRow:
    return ChangeRow(
        kind=Kind(cells["kind"]),
        subject=item_id(cells["subject"]),
        property=property_id(cells["property"]),
        old=item_id(cells["old"]),
        end=time_point(cells["end"]),
        new=item_id(cells["new"]) if cells["new"] else None,
        start=time_point(cells["start"]),
        rank=Rank(cells["rank"]),
        references=int(cells["references"]),
    )
