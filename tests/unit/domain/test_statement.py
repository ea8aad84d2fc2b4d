from datetime import UTC, datetime

import pytest

from kbsync.domain.errors import BadIdentifier, DataError
from kbsync.domain.statement import (
    Rank,
    Snak,
    Statement,
    TimePoint,
    Value,
    ValueKind,
    item_id,
    property_id,
    property_path,
)


@pytest.mark.parametrize("text", ["", "Q", "q42", "Q0", "Q042", "P42", "Q42 ", "Q42\n", "Q42} DROP", "Q" + "9" * 13])
def test_text_that_is_no_item_id_is_refused(text: str) -> None:
    with pytest.raises(BadIdentifier):
        item_id(text)


def test_identifiers_pass_unchanged() -> None:
    assert item_id("Q42") == "Q42"
    assert property_id("P36") == "P36"
    with pytest.raises(BadIdentifier):
        property_id("Q36")


def test_a_property_path_has_one_hop_or_two() -> None:
    assert (property_path("P6"), property_path("P6/P26")) == ("P6", "P6/P26")
    for text in ("P6/", "/P26", "P6/Q26", "P6/P26/P19", "Q6"):
        with pytest.raises(BadIdentifier):
            property_path(text)


@pytest.mark.parametrize(
    ("iso", "precision", "reached"),
    [
        ("2024-01-01T00:00:00Z", 9, True),
        ("2024-00-00T00:00:00Z", 9, True),
        ("2025-01-01T00:00:00Z", 9, False),
        ("2024-06-01T00:00:00Z", 10, True),
        ("2024-07-01T00:00:00Z", 10, False),
        ("2024-06-15T00:00:00Z", 11, True),
        ("2024-06-16T00:00:00Z", 11, False),
        ("+2024-06-15T00:00:00Z", 11, True),
        ("-0044-03-15T00:00:00Z", 11, True),
        ("13798000000-01-01T00:00:00Z", 9, False),
    ],
)
def test_a_time_is_reached_at_the_earliest_instant_of_its_precision(iso: str, precision: int, reached: bool) -> None:
    assert TimePoint(iso, precision).reached(datetime(2024, 6, 15, 12, tzinfo=UTC)) is reached


def test_text_that_is_no_time_is_refused() -> None:
    with pytest.raises(DataError):
        TimePoint("last Tuesday")


@pytest.mark.parametrize("snak", [Snak.SOMEVALUE, Snak.NOVALUE])
def test_a_value_beside_an_unknown_one_is_refused(snak: Snak) -> None:
    with pytest.raises(DataError):
        Statement(
            id="Q1$a",
            subject=item_id("Q1"),
            property=property_id("P1"),
            snak=snak,
            value=Value(ValueKind.ITEM, "Q2"),
            rank=Rank.NORMAL,
        )
