"""Rows by hand, as the query of ``records`` gives them."""

from __future__ import annotations

from kbsync.domain.statement import (
    ItemId,
    Statement,
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
