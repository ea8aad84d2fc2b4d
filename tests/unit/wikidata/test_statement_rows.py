"""The rows of one statement, by hand, and the statement that they become."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from kbsync.domain.statement import (
    UNKNOWN_TIME,
    PropertyId,
    Rank,
    Snak,
    Statement,
    TimePoint,
    Value,
    ValueKind,
)
from kbsync.wikidata.answers import Row, Term
from tests.support.result_rows import Q1, WD, XSD, date, head, item, number, one, records, statement, uri


def test_a_statement_is_read_whole() -> None:
    row = statement(
        rank="PreferredRank",
        value=item("Q84"),
        start=date("2019-01-01T00:00:00Z"),
        startTime=date("2019-01-01T00:00:00Z"),
        startPrecision=number(9),
    )
    assert one(row, references=3) == Statement(
        id="q1$AAAA-BBBB",
        subject=Q1,
        property=PropertyId("P35"),
        snak=Snak.VALUE,
        value=Value(ValueKind.ITEM, "Q84"),
        rank=Rank.PREFERRED,
        start=TimePoint("2019-01-01T00:00:00Z", 9),
        references=3,
    )


def test_a_time_without_its_node_counts_as_a_day() -> None:
    row = statement(value=item("Q84"), end=date("+2020-05-06T00:00:00Z"))
    assert one(row).end == TimePoint("2020-05-06T00:00:00Z", 11)


def test_several_qualifiers_count_earliest_start_and_latest_end_with_their_own_precision() -> None:
    def row(start: str, precision: int, end: str) -> Row:
        simple = statement(value=item("Q84"), start=date("2005-01-01T00:00:00Z"), end=date(end))
        return simple | {"startTime": date(start), "startPrecision": number(precision)}

    result = one(
        row("2001-07-01T00:00:00Z", 11, "2010-01-01T00:00:00Z"),
        row("2000-01-01T00:00:00Z", 9, "2010-01-01T00:00:00Z"),
        row("2000-01-01T00:00:00Z", 9, "2012-01-01T00:00:00Z"),
    )
    assert result.start == TimePoint("2000-01-01T00:00:00Z", 9)
    assert result.end == TimePoint("2012-01-01T00:00:00Z", 11)


@pytest.mark.parametrize("unknown", [Term("bnode", "b0"), uri("http://www.wikidata.org/.well-known/genid/abc")])
def test_an_unknown_end_has_ended_and_an_unknown_start_says_nothing(unknown: Term) -> None:
    result = one(statement(value=item("Q84"), start=unknown, end=unknown, point=unknown))
    assert (result.start, result.end, result.point_in_time) == (None, UNKNOWN_TIME, None)
    assert UNKNOWN_TIME.reached(datetime(2026, 1, 1, tzinfo=UTC))


def test_a_known_end_goes_before_an_unknown_one() -> None:
    result = one(
        statement(value=item("Q84"), end=Term("bnode", "b0")),
        statement(value=item("Q84"), end=date("2099-01-01T00:00:00Z")),
    )
    assert result.end == TimePoint("2099-01-01T00:00:00Z", 11)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("+8848.860", "+8848.86"),
        ("8848.86", "+8848.86"),
        ("100", "+100"),
        ("-0.0", "+0"),
        ("+0", "+0"),
        ("-0.50", "-0.5"),
        (
            "123456789012345678901234567890.123456789012345678901234567890",
            "+123456789012345678901234567890.12345678901234567890123456789",
        ),
    ],
)
def test_a_quantity_has_one_form(text: str, canonical: str) -> None:
    row = statement(value=Term("literal", text, f"{XSD}decimal"), unit=item("Q199"))
    assert one(row).value == Value(ValueKind.QUANTITY, canonical)


@pytest.mark.parametrize(
    ("term", "value"),
    [
        (date("2020-01-01T00:00:00+00:00"), Value(ValueKind.TIME, "2020-01-01T00:00:00Z", "11")),
        (date("-13798000000-01-01T00:00:00Z"), Value(ValueKind.TIME, "-13798000001-01-01T00:00:00Z", "11")),
        (date("2020-01-01T10:00:00.25Z"), Value(ValueKind.TIME, "2020-01-01T10:00:00Z", "11")),
        (Term("literal", "5", f"{XSD}nonNegativeInteger"), Value(ValueKind.QUANTITY, "+5")),
        (Term("literal", "Q84"), Value(ValueKind.STRING, "Q84")),
        (Term("literal", "x", f"{XSD}string"), Value(ValueKind.STRING, "x")),
        (
            Term("literal", "Point(1 2)", "http://www.opengis.net/ont/geosparql#wktLiteral"),
            Value(ValueKind.OTHER, "Point(1 2)"),
        ),
        (item("L99-F1"), Value(ValueKind.OTHER, f"{WD}L99-F1")),
    ],
)
def test_less_usual_values(term: Term, value: Value) -> None:
    assert one(statement(value=term)).value == value


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ([statement(value=item("Q84")), statement(value=item("Q85"))], "2 values"),
        ([statement(value=item("Q84")), statement(value=item("Q84"), rank="DeprecatedRank")], "2 ranks"),
        ([statement()], "neither a value nor the mark of none"),
        *(
            (
                [statement(value=date(time))],
                f"something that Wikidata has not: {time!r} is no time of Wikidata, which has no time zones.",
            )
            for time in ("sometime", "2020-01-01T00:00:00+02:00")
        ),
    ],
)
def test_a_statement_that_contradicts_itself_has_an_unknown_value(group: list[Row], problem: str) -> None:
    found, torn = records([head(), *group])
    assert torn == {Q1: f"statement q1$AAAA-BBBB has {problem}"}
    assert [(s.snak, s.value) for s in found[0].statements] == [(Snak.SOMEVALUE, None)]


def test_an_item_of_another_wikibase_is_no_item() -> None:
    foreign = uri("https://www.wikidata.org/entity/Q5")
    assert one(statement(value=foreign)).value == Value(ValueKind.OTHER, "https://www.wikidata.org/entity/Q5")


def test_a_day_is_kept_in_the_calendar_that_its_node_names() -> None:
    row = statement(value=date("-0043-03-13T00:00:00Z"), precision=number(11), calendar=item("Q1985786"))
    assert one(row).value == Value(ValueKind.TIME, "-0044-03-15T00:00:00Z", "11")


def test_qualifiers_keep_the_form_of_the_rdf_so_that_their_order_is_right() -> None:
    found = one(statement(value=item("Q84"), start=date("-043-03-13T00:00:00Z"), end=date("0000-01-01T00:00:00Z")))
    assert (found.start, found.end) == (TimePoint("-0043-03-13T00:00:00Z"), TimePoint("0000-01-01T00:00:00Z"))


@pytest.mark.parametrize(
    ("more", "value"),
    [
        ({"precision": number(11)}, Value(ValueKind.TIME, "1898-02-30T00:00:00Z", "11")),
        ({}, Value(ValueKind.STRING, "+1898-02-30T00:00:00Z")),
    ],
)
def test_a_date_that_no_calendar_has_comes_as_text(more: Row, value: Value) -> None:
    assert one(statement(value=Term("literal", "+1898-02-30T00:00:00Z"), **more)).value == value


def test_what_is_beyond_all_numbers_is_no_quantity() -> None:
    term = Term("literal", "1E999999999", f"{XSD}double")
    assert one(statement(value=term)).value == Value(ValueKind.OTHER, "1E999999999")
