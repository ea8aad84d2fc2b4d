"""Dates that an older kbsync stored otherwise than the item's page shows them: they are read once more.

Up to version 2 of this rule a year before our era was stored as the RDF counts it (44 BC as 43 BC), and a day of the
Julian calendar as one of the Gregorian. The items' revisions are the same as ever, so that no pull would fetch them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kbsync.domain.statement import ItemId, PropertyId, Statement, ValueKind
from kbsync.ports import StatementReader, StatementWriter
from kbsync.stages.pull.watch import Redirects

RULE = 2
"""Version of the rule by which dates are read."""
_DAY = 11
_GREGORIAN = "1930"
"""Years since which no country counts days by the Julian calendar; Greece was the last one, in 1923."""


def misread(
    tx: StatementReader, source: str, subjects: Mapping[PropertyId, Sequence[ItemId]], redirects: Redirects
) -> set[ItemId]:
    """The items whose stored dates an older kbsync may have read wrongly, and which were not read again since.

    Args:
        source: The source's name.
        subjects: Of each watched property.
        redirects: Where the items lead now.
    """
    found: set[ItemId] = set()
    for prop, watched in subjects.items():
        if tx.watermark(f"{source}/{prop}") is None or tx.watermark(_mark(source, prop)) is not None:
            continue
        held = tx.statements_of(prop, sorted({redirects.resolve(subject) for subject in watched}))
        found |= {item for item, statements in held.items() if any(map(_may_be_wrong, statements))}
    return found


def note_read(tx: StatementWriter, source: str, properties: Sequence[PropertyId]) -> None:
    """Record that the dates of these properties are those of today's rule."""
    for prop in properties:
        if tx.watermark(_mark(source, prop)) is None and (at := tx.watermark(f"{source}/{prop}")) is not None:
            tx.set_watermark(_mark(source, prop), at)


def _mark(source: str, prop: PropertyId) -> str:
    return f"{source}/{prop}/dates/{RULE}"


def _may_be_wrong(statement: Statement) -> bool:
    """Whether a stored time lies before our era, or is a day that may be one of the Julian calendar."""
    value = statement.value
    if value is None or value.kind is not ValueKind.TIME:
        return False
    year = value.text.partition("-")[0]
    early = not year.isdigit() or int(year) == 0
    return early or (value.detail.isdigit() and int(value.detail) >= _DAY and value.text < _GREGORIAN)
