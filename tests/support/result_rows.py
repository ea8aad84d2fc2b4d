"""Rows by hand, as the query of ``records`` gives them."""

from __future__ import annotations

from collections.abc import Sequence

from kbsync.domain.statement import ItemId, ItemRecord, PropertyId, Statement
from kbsync.wikidata import rows
from kbsync.wikidata.answers import Row, Term

WD = "http://www.wikidata.org/entity/"
XSD = "http://www.w3.org/2001/XMLSchema#"
Q1, Q2, P35 = ItemId("Q1"), ItemId("Q2"), PropertyId("P35")
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
    return {"item": item("Q1"), "rev": number(rev), "modified": date("2026-01-02T03:04:05Z"), **more}


def statement(rev: int = 10, node: str = NODE, rank: str = "NormalRank", **more: Term) -> Row:
    return {
        "item": item("Q1"),
        "rev": number(rev),
        "property": item("P35"),
        "st": uri(node),
        "rank": uri(f"http://wikiba.se/ontology#{rank}"),
        **more,
    }


def records(answer: Sequence[Row]) -> tuple[list[ItemRecord], dict[ItemId, str]]:
    """The records of ``Q1``, from an answer that also says how much it holds and how many references there are."""
    return rows.records(whole(answer), [Q1], "en", [P35])


def whole(answer: Sequence[Row], references: int = 0) -> list[Row]:
    """The rows, and those that state their number."""
    nodes = {row["st"].text for row in answer if "st" in row}
    counted: list[Row] = [{"item": item("Q1"), "st": uri(node), "refs": number(references)} for node in sorted(nodes)]
    names = sum("label" in row or "alias" in row for row in answer)
    return [*answer, *counted, {"names": number(names)}, {"statements": number(len(nodes))}]


def one(*group: Row, references: int = 0) -> Statement:
    found, torn = rows.records(whole([head(), *group], references), [Q1], "en", [P35])
    assert torn == {}
    (result,) = found[0].statements
    return result
