"""Rows to domain, without an endpoint: hand-written rows as the query of ``records`` gives them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest

from kbsync.domain.errors import DataError
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
from kbsync.wikidata import rows
from kbsync.wikidata.answers import Row, Term

WD = "http://www.wikidata.org/entity/"
XSD = "http://www.w3.org/2001/XMLSchema#"
Q1, Q2 = ItemId("Q1"), ItemId("Q2")
NODE = f"{WD}statement/q1-AAAA-BBBB"


def uri(text: str) -> Term:
    return Term("uri", text)


def item(text: str) -> Term:
    return uri(WD + text)


def number(value: int) -> Term:
    return Term("literal", str(value), f"{XSD}integer")


def date(text: str) -> Term:
    return Term("literal", text, f"{XSD}dateTime")


def head(rev: int = 10, **more: Term) -> Row:
    return {"item": item("Q1"), "rev": number(rev), "modified": date("2026-01-02T03:04:05Z"), "refs": number(0), **more}


def statement(rev: int = 10, node: str = NODE, rank: str = "NormalRank", **more: Term) -> Row:
    return {
        "item": item("Q1"),
        "rev": number(rev),
        "property": item("P35"),
        "st": uri(node),
        "rank": uri(f"http://wikiba.se/ontology#{rank}"),
        "none": Term("literal", "false", f"{XSD}boolean"),
        "refs": number(0),
        **more,
    }


def one(*group: Row) -> Statement:
    found, torn = rows.records([head(), *group], [Q1], "en")
    assert torn == {}
    (result,) = found[0].statements
    return result


def test_a_statement_is_read_whole() -> None:
    row = statement(
        rank="PreferredRank",
        value=item("Q84"),
        start=date("2019-01-01T00:00:00Z"),
        startTime=date("2019-01-01T00:00:00Z"),
        startPrecision=number(9),
        refs=number(3),
    )
    assert one(row) == Statement(
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


def test_neither_order_nor_doubles_matter() -> None:
    answer = [
        head(),
        {"item": item("Q1"), "label": Term("literal", "one", "", "en"), "refs": number(0)},
        {"item": item("Q1"), "alias": Term("literal", "uno", "", "en"), "refs": number(0)},
        statement(value=item("Q84"), start=date("2001-01-01T00:00:00Z")),
        statement(value=item("Q84"), start=date("2000-01-01T00:00:00Z")),
        statement(node=f"{WD}statement/Q1-CCCC", value=item("Q85")),
    ]
    expected = rows.records(answer, [Q1], "en")
    assert len(expected[0][0].statements) == 2
    for order in permutations(answer):
        assert rows.records([*order, *order[:3]], [Q1], "en") == expected


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
        (date("-13798000000-01-01T00:00:00Z"), Value(ValueKind.TIME, "-13798000000-01-01T00:00:00Z", "11")),
        (date("sometime"), Value(ValueKind.OTHER, "sometime")),
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


def test_of_two_revisions_the_newest_that_is_whole_wins() -> None:
    answer = [head(10), head(11), statement(10, value=item("Q84")), statement(11, value=item("Q85"))]
    found, torn = rows.records(answer, [Q1], "en")
    assert (found[0].head.revision, torn) == (11, {})
    assert [s.value for s in found[0].statements] == [Value(ValueKind.ITEM, "Q85")]


def test_statements_that_overtook_the_head_wait_for_the_next_look() -> None:
    answer = [head(10), statement(10, value=item("Q84")), statement(11, value=item("Q85"))]
    found, torn = rows.records(answer, [Q1], "en")
    assert (found[0].head.revision, torn) == (10, {})
    assert [s.value for s in found[0].statements] == [Value(ValueKind.ITEM, "Q84")]


def test_statements_older_than_the_head_keep_their_own_revision() -> None:
    found, torn = rows.records([head(12), statement(11, value=item("Q84"))], [Q1], "en")
    assert found[0].head.revision == 11
    assert torn == {Q1: "its statements are of revision 11, its head of 12"}


@pytest.mark.parametrize(
    ("group", "problem"),
    [
        ([statement(value=item("Q84")), statement(value=item("Q85"))], "2 values"),
        ([statement(value=item("Q84")), statement(value=item("Q84"), rank="DeprecatedRank")], "2 ranks"),
        ([statement()], "neither a value nor the mark of none"),
    ],
)
def test_a_statement_that_contradicts_itself_has_an_unknown_value(group: list[Row], problem: str) -> None:
    found, torn = rows.records([head(), *group], [Q1], "en")
    assert torn == {Q1: f"statement q1$AAAA-BBBB has {problem}"}
    assert [(s.snak, s.value) for s in found[0].statements] == [(Snak.SOMEVALUE, None)]


def test_a_redirect_has_no_statements() -> None:
    found, torn = rows.records([head(target=item("Q2")), statement(value=item("Q84"))], [Q1], "en")
    assert (found[0].head.redirect_to, found[0].statements, torn) == (Q2, (), {})


def test_the_multilingual_name_stands_in_where_there_is_no_other() -> None:
    def name(subject: str, kind: str, text: str, language: str) -> Row:
        return {"item": item(subject), kind: Term("literal", text, "", language)}

    answer = [
        name("Q1", "label", "Ada", "mul"),
        name("Q1", "label", "Ada Lovelace", "en"),
        name("Q1", "alias", "Ada", "mul"),
        name("Q2", "label", "Ada", "mul"),
        name("Q2", "alias", "Ada", "en"),
    ]
    assert rows.labels(answer, [Q2, Q1], "en") == [
        Labels(item=Q2, label="Ada"),
        Labels(item=Q1, label="Ada Lovelace", aliases=("Ada",)),
    ]


@pytest.mark.parametrize(
    "row",
    [
        head(rev=0) | {"rev": Term("literal", "new")},
        head(modified=date("yesterday")),
        statement(value=item("Q84"), rank="BestRank"),
        statement(value=item("Q84")) | {"item": uri("http://example.org/Q1")},
        statement(value=item("Q84"), refs=Term("literal", "many")),
    ],
)
def test_what_can_not_be_wikidatas_is_refused(row: Row) -> None:
    with pytest.raises(DataError):
        rows.records([row], [Q1], "en")


def test_server_time_prefers_the_live_node_and_the_oldest_date() -> None:
    live, dump = uri("http://www.wikidata.org"), uri("http://wikiba.se/ontology#Dump")
    old, new, ancient = date("2026-01-02T00:00:00Z"), date("2026-01-03T00:00:00Z"), date("2020-01-01T00:00:00Z")
    both = [{"root": dump, "t": ancient}, {"root": live, "t": new}, {"root": live, "t": old}]
    assert rows.server_time(both) == datetime(2026, 1, 2, tzinfo=UTC)
    assert rows.server_time(both[:1]) == datetime(2020, 1, 1, tzinfo=UTC)
    assert rows.server_time([]) is None


def test_an_item_of_another_wikibase_is_no_item() -> None:
    foreign = uri("https://www.wikidata.org/entity/Q5")
    assert one(statement(value=foreign)).value == Value(ValueKind.OTHER, "https://www.wikidata.org/entity/Q5")
