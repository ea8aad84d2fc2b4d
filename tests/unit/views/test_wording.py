"""How statements and the cells of tables read."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from kbsync.domain.naming import Names
from kbsync.domain.statement import (
    UNKNOWN_TIME,
    ItemId,
    Labels,
    PropertyId,
    Rank,
    Snak,
    Statement,
    TimePoint,
    Value,
    ValueKind,
)
from kbsync.views.wording import cell_text, revision_url, statement_text

LABELS = {ItemId("Q1"): Labels(item=ItemId("Q1"), label="the universe")}


def statement(value: Value | None = None, **more: object) -> Statement:
    given = {"snak": Snak.VALUE if value else Snak.NOVALUE, "rank": Rank.NORMAL, "value": value} | more
    return Statement(id="Q5$1", subject=ItemId("Q5"), property=PropertyId("P1"), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (statement(Value(ValueKind.ITEM, "Q1")), "the universe (Q1), 0 references"),
        (statement(Value(ValueKind.ITEM, "Q2"), references=1), "Q2 (no label), 1 reference"),
        (statement(Value(ValueKind.STRING, "text"), rank=Rank.PREFERRED), "text, preferred, 0 references"),
        (statement(), "no value, 0 references"),
        (statement(snak=Snak.SOMEVALUE), "unknown value, 0 references"),
        (statement(start=TimePoint("+2021-12-08T00:00:00Z")), "no value, from 2021-12-08, 0 references"),
        (statement(end=TimePoint("+2021-12-00T00:00:00Z", 10)), "no value, until 2021-12, 0 references"),
        (statement(point_in_time=TimePoint("+2021-00-00T00:00:00Z", 9)), "no value, at 2021, 0 references"),
        (statement(point_in_time=TimePoint("-0044-00-00T00:00:00Z", 7)), "no value, at -0044, 0 references"),
        (statement(end=UNKNOWN_TIME), "no value, until an unknown time, 0 references"),
    ],
)
def test_a_statement_in_words(said: Statement, words: str) -> None:
    assert statement_text(said, Names(LABELS)) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "yes"),
        (False, "no"),
        (1, "1"),
        (0.123456, "0.1235"),
        (datetime(2026, 1, 3, 14, 0, tzinfo=timezone(timedelta(hours=2))), "2026-01-03 12:00:00"),
        ("Zürich", "Zürich"),
    ],
)
def test_a_cell_of_a_table(value: object, words: str) -> None:
    assert cell_text(value, empty="nothing") == words


def test_a_revision_has_an_address() -> None:
    assert revision_url("Q183", 17) == "https://www.wikidata.org/w/index.php?title=Q183&oldid=17"
