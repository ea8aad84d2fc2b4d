"""Statements and values as people read them, and links to Wikidata."""

from __future__ import annotations

from datetime import UTC, datetime

from kbsync.domain.naming import Names
from kbsync.domain.statement import UNKNOWN_TIME, Rank, Snak, Statement, TimePoint, Value, ValueKind

WIKIDATA = "https://www.wikidata.org"
_NO_VALUE = {Snak.SOMEVALUE: "unknown value", Snak.NOVALUE: "no value"}


def statement_text(statement: Statement, names: Names) -> str:
    """A statement with its rank, times and references.

    ``Charles III (Q43274), preferred, from 2022-09-08, 2 references``
    """
    value = value_text(statement.value, names) if statement.value else _NO_VALUE[statement.snak]
    parts = [value] if statement.rank is Rank.NORMAL else [value, statement.rank.value]
    for word, point in (("from", statement.start), ("until", statement.end), ("at", statement.point_in_time)):
        if point:
            parts.append(f"{word} {_date(point)}")
    count = statement.references
    return ", ".join([*parts, "1 reference" if count == 1 else f"{count} references"])


def value_text(value: Value, names: Names) -> str:
    """A value by its name, an item with its number: ``Charles III (Q43274)``."""
    label = names.value(value).label
    if value.kind is not ValueKind.ITEM:
        return label or value.text
    return f"{label} ({value.text})" if label else f"{value.text} (no label)"


def cell_text(value: object, *, empty: str) -> str:
    """A cell of a table: times in UTC, floats with four digits, ``empty`` for None."""
    match value:
        case None:
            return empty
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.4g}"
        case datetime():
            return f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    return str(value)


def revision_url(item: str, revision: int) -> str:
    """Where Wikidata shows one revision of an item."""
    return f"{WIKIDATA}/w/index.php?title={item}&oldid={revision}"


def _date(point: TimePoint) -> str:
    """As precise as Wikidata is: ``2021-12-08``, ``2021-12``, ``2021``; anything coarser as its year."""
    if point == UNKNOWN_TIME:
        return "an unknown time"
    year, month, day = point.iso.lstrip("+").split("T")[0].rsplit("-", 2)
    return "-".join((year, month, day)[: max(1, min(3, point.precision - 8))])
