"""Live statements as rows of the table ``statements``, and back."""

from __future__ import annotations

from typing import Any

from kbsync.domain.statement import ItemId, PropertyId, Statement, Value


def statement_of(row: Any) -> Statement:
    """The live statement that a row of ``statements`` holds."""
    value = None if row.value_text is None else Value(row.value_kind, row.value_text, row.value_detail)
    return Statement(
        id=row.id,
        subject=ItemId(row.subject),
        property=PropertyId(row.property),
        snak=row.snak,
        value=value,
        rank=row.rank,
        start=row.starts,
        end=row.ends,
        point_in_time=row.point_in_time,
        references=row.reference_count,
    )


def statement_row(statement: Statement) -> dict[str, Any]:
    """The row of ``statements`` that holds a live statement."""
    value = statement.value
    return {
        "id": statement.id,
        "subject": statement.subject,
        "property": statement.property,
        "snak": statement.snak,
        "value_kind": value.kind if value else None,
        "value_text": value.text if value else None,
        "value_detail": value.detail if value else None,
        "rank": statement.rank,
        "starts": statement.start,
        "ends": statement.end,
        "point_in_time": statement.point_in_time,
        "reference_count": statement.references,
    }
