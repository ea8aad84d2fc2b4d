"""The list of facts: what is found, by what, and on which page."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.fact import FactKey
from kbsync.domain.statement import ItemId
from kbsync.views import fact_list as module
from kbsync.views.fact_list import FILTERS, FactsView, fact_list
from tests.support.stage_world import HEAD, World, statement


def found(world: World, query: str = "", only: str = "", relation: str = "", after: str = "") -> FactsView:
    with world.ledger.read() as tx:
        return fact_list(tx, world.relations, query=query, only=only, relation=relation, after=after)


def subjects(view: FactsView) -> list[str]:
    return [f"{row.subject} {row.property}" for row in view.rows]


@pytest.fixture(autouse=True)
def synchronised(world: World) -> None:
    world.sync()


def test_a_row_tells_what_is_believed_and_what_the_base_answers(world: World) -> None:
    (row,) = found(world, query="Scholz").rows
    assert (row.subject, row.label, row.relation, row.values) == (
        "Q183",
        "Germany",
        "head-of-government",
        ("Olaf Scholz",),
    )
    assert (row.verdict, row.base_answer, row.waiting, row.quarantined) == ("stale", " Angela Merkel.", False, False)


@pytest.mark.parametrize(
    ("query", "keys"),
    [
        ("q183", ["Q183 P36", "Q183 P6"]),
        (" germ ", ["Q183 P36", "Q183 P6"]),
        ("BERLIN", ["Q183 P36"]),
        ("Q64", ["Q183 P36"]),
        ("scholz", ["Q183 P6"]),
        ("%", []),
        ("_ermany", []),
        ("Germany\0", ["Q183 P36", "Q183 P6"]),
        ("...", []),
        ("nowhere", []),
    ],
)
def test_a_fact_is_found_by_item_or_by_a_part_of_a_name(world: World, query: str, keys: list[str]) -> None:
    assert subjects(found(world, query=query)) == keys


def test_filters_are_verdicts_and_three_conditions(world: World) -> None:
    assert FILTERS[-3:] == ("unasked", "waiting", "quarantined")
    counts = {only: found(world, only=only).total for only in FILTERS}
    assert counts == {
        "current": 3,
        "shaky": 0,
        "stale": 1,
        "unknown": 1,
        "ambiguous": 0,
        "unasked": 0,
        "waiting": 0,
        "quarantined": 0,
    }
    assert subjects(found(world, relation="capital", only="stale")) == []
    assert subjects(found(world, relation="head-of-government")) == ["Q142 P6", "Q183 P6"]


@pytest.mark.slow
def test_what_waits_is_shown_with_the_answer_of_before(world: World) -> None:
    world.set_statements("Q38", statement("Q38", "P36", "Q586"), age=timedelta(0))
    world.pass_time(timedelta(minutes=1))
    world.sync()
    (row,) = found(world, only="waiting").rows
    assert (row.subject, row.values, row.verdict) == ("Q38", ("Rome",), "current")


def test_a_quarantined_fact_is_marked(world: World) -> None:
    key = FactKey(ItemId("Q183"), HEAD)
    with world.ledger.write() as tx:
        record = tx.fact(key)
        assert record is not None and record.believed is not None
        tx.set_quarantine(key, record.believed.value_hash, "it does harm", world.clock.now())
    assert subjects(found(world, only="quarantined")) == [str(key)]


@pytest.mark.slow
@pytest.mark.parametrize("only", ["", "current", "waiting", "unasked"])
def test_pages_hold_every_row_once(world: World, monkeypatch: pytest.MonkeyPatch, only: str) -> None:
    whole = found(world, only=only)
    monkeypatch.setattr(module, "PAGE", 2)
    pages = [found(world, only=only)]
    while pages[-1].after:
        pages.append(found(world, only=only, after=pages[-1].after))
    assert all(len(view.rows) <= 2 for view in pages)
    assert [key for view in pages for key in subjects(view)] == subjects(whole)
    assert {view.total for view in pages} == ({5} if not only else {None} if len(pages) > 1 else {whole.total})
    assert subjects(found(world, only=only, after="nonsense")) == subjects(pages[0])


def test_a_search_goes_on_where_it_has_ended(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = found(world, query="an")
    assert subjects(whole) and whole.after == ""
    monkeypatch.setattr("kbsync.ledger.repository.fact_pages.NAMES_EXAMINED", 2)
    pages = [found(world, query="an")]
    while pages[-1].after:
        pages.append(found(world, query="an", after=pages[-1].after))
    assert len(pages) > 3 and pages[0].total is None
    assert {key for view in pages for key in subjects(view)} == set(subjects(whole))


def test_unasked_facts_are_looked_for_a_part_at_a_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kbsync.ledger.repository.fact_pages.EXAMINED", 1)
    pages = [found(world, only="unasked")]
    while pages[-1].after:
        pages.append(found(world, only="unasked", after=pages[-1].after))
    assert len(pages) > 3 and not any(view.rows for view in pages)
