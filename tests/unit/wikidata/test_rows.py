"""Rows to domain, without an endpoint: rows by hand as the queries give them."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import permutations

import pytest
import structlog

from kbsync.domain.errors import DataError
from kbsync.domain.statement import (
    Labels,
    Value,
    ValueKind,
)
from kbsync.wikidata import rows
from kbsync.wikidata.answers import Row, Term
from tests.support.result_rows import NODE, P35, Q1, Q2, WD, date, head, item, number, records, statement, uri, whole


def test_neither_order_nor_doubles_matter() -> None:
    answer = [
        head(),
        {"item": item("Q1"), "label": Term("literal", "one", "", "en")},
        {"item": item("Q1"), "alias": Term("literal", "uno", "", "en")},
        statement(value=item("Q84"), start=date("2001-01-01T00:00:00Z")),
        statement(value=item("Q84"), start=date("2000-01-01T00:00:00Z")),
        statement(node=f"{WD}statement/Q1-CCCC", value=item("Q85")),
    ]
    expected = records(answer)
    assert len(expected[0][0].statements) == 2
    for order in permutations(answer):
        assert rows.records(whole([*order, *order[:3]]), [Q1], "en", [P35]) == expected


def test_an_answer_that_lacks_what_it_counts_is_in_part() -> None:
    answer = whole(
        [
            head(),
            {"item": item("Q1"), "label": Term("literal", "one", "", "en")},
            {"item": item("Q1"), "alias": Term("literal", "uno", "", "en")},
            statement(value=item("Q84")),
            statement(node=f"{WD}statement/Q1-CCCC", value=item("Q85")),
        ]
    )
    assert len(rows.records(answer, [Q1], "en", [P35])[0][0].statements) == 2
    for lost in range(len(answer)):
        with pytest.raises(rows.Incomplete):
            rows.records(answer[:lost] + answer[lost + 1 :], [Q1], "en", [P35])


def test_labels_that_lack_what_they_count_are_in_part() -> None:
    answer: list[Row] = [{"item": item("Q1"), "label": Term("literal", "one", "", "en")}, {"names": number(1)}]
    assert rows.labels(answer, [Q1, Q2], "en")[0].label == "one"
    for lost in (answer[:1], answer[1:], []):
        with pytest.raises(rows.Incomplete):
            rows.labels(lost, [Q1, Q2], "en")


def test_where_redirects_lead() -> None:
    answer: list[Row] = [
        {"item": item("Q1"), "target": item("Q7")},
        {"item": item("Q1"), "target": item("Q4")},
        {"item": item("Q2"), "target": uri("https://example.org/same")},
        {"names": number(3)},
    ]
    assert rows.targets(answer) == {Q1: "Q4"}


def test_of_two_revisions_the_newest_that_is_whole_wins() -> None:
    answer = [head(10), head(11), statement(10, value=item("Q84")), statement(11, value=item("Q85"))]
    found, torn = records(answer)
    assert (found[0].head.revision, torn) == (11, {})
    assert [s.value for s in found[0].statements] == [Value(ValueKind.ITEM, "Q85")]


def test_statements_that_overtook_the_head_wait_for_the_next_look() -> None:
    answer = [head(10), statement(10, value=item("Q84")), statement(11, value=item("Q85"))]
    found, torn = records(answer)
    assert (found[0].head.revision, torn) == (10, {})
    assert [s.value for s in found[0].statements] == [Value(ValueKind.ITEM, "Q84")]


def test_statements_older_than_the_head_keep_their_own_revision() -> None:
    found, torn = records([head(12), statement(11, value=item("Q84"))])
    assert found[0].head.revision == 11
    assert torn == {Q1: "its statements are of revision 11, its head of 12"}


def test_a_redirect_has_no_statements() -> None:
    found, torn = records([head(target=item("Q2")), statement(value=item("Q84"))])
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
    assert rows.labels(whole(answer), [Q2, Q1], "en") == [
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
    ],
)
def test_what_can_not_be_wikidatas_is_refused(row: Row) -> None:
    with pytest.raises(DataError):
        rows.records([*whole([row]), head()], [Q1], "en", [P35])
    with pytest.raises(DataError):
        rows.records(
            [head(), *whole([statement()]), {"st": uri(NODE), "refs": Term("literal", "many")}], [Q1], "en", [P35]
        )


def test_server_time_prefers_the_live_node_and_the_oldest_date() -> None:
    live, dump = uri("http://www.wikidata.org"), uri("http://wikiba.se/ontology#Dump")
    old, new, ancient = date("2026-01-02T00:00:00Z"), date("2026-01-03T00:00:00Z"), date("2020-01-01T00:00:00Z")
    both = [{"root": dump, "t": ancient}, {"root": live, "t": new}, {"root": live, "t": old}]
    assert rows.server_time(both) == datetime(2026, 1, 2, tzinfo=UTC)
    assert rows.server_time(both[:1]) == datetime(2020, 1, 1, tzinfo=UTC)
    assert rows.server_time([]) is None


@pytest.mark.parametrize("broken", ["Rome \ud83d", "Ro\0me", "Ro\nme", " "])
def test_one_broken_name_leaves_all_others(broken: str) -> None:
    answer: list[Row] = [
        {"item": item("Q1"), "label": Term("literal", broken, "", "en")},
        {"item": item("Q1"), "alias": Term("literal", "uno", "", "en")},
        {"item": item("Q1"), "alias": Term("literal", broken, "", "en")},
        {"item": item("Q2"), "label": Term("literal", "two", "", "en")},
    ]
    with structlog.testing.capture_logs() as logs:
        assert rows.labels(whole(answer), [Q1, Q2], "en") == [
            Labels(item=Q1, label=None, aliases=("uno",)),
            Labels(item=Q2, label="two"),
        ]
    assert [log["item"] for log in logs] == ["Q1", "Q1"]
    assert all(log["name"].isascii() for log in logs)


def test_a_value_that_nothing_can_hold_is_unknown_and_the_others_stand() -> None:
    broken = statement(value=Term("literal", "half \ud83d"))
    sound = statement(node=f"{WD}statement/Q1-CCCC", value=item("Q85"))
    found, torn = records([head(), broken, sound])
    assert {s.value for s in found[0].statements} == {None, Value(ValueKind.ITEM, "Q85")}
    assert "half a character (U+D83D)" in torn[Q1]


def test_another_form_of_the_language_stands_in_before_the_multilingual_name() -> None:
    def named(**labels: str) -> str | None:
        answer: list[Row] = [
            {"item": item("Q1"), "label": Term("literal", text, "", tag.replace("_", "-"))}
            for tag, text in labels.items()
        ]
        return rows.labels(whole(answer), [Q1], "pt-br")[0].label

    assert named(pt="Roma", mul="Rome", pt_br="Roma!") == "Roma!"
    assert named(mul="Rome", pt="Roma") == "Roma"
    assert named(mul="Rome", en="Rome (city)") == "Rome"
    assert named(en="Rome (city)") is None


def test_the_tag_of_the_rdf_may_be_another_than_the_code() -> None:
    answer: list[Row] = [{"item": item("Q1"), "label": Term("literal", "Rim", "", "sr-latn")}]
    assert rows.labels(whole(answer), [Q1], "sr-el")[0].label == "Rim"
