"""Two endpoints that share one Wikidata, as fakes."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Graph, Relation
from kbsync.domain.statement import ItemId, PropertyId
from kbsync.testing import FakeSource
from kbsync.wikidata.split import SplitSource

P50, Q1, Q2, Q3 = PropertyId("P50"), ItemId("Q1"), ItemId("Q2"), ItemId("Q3")


@pytest.fixture
def worlds() -> tuple[FakeSource, FakeSource]:
    main, scholarly = FakeSource(name="main"), FakeSource(name="scholarly")
    main.set_item("Q1", label="author")
    scholarly.set_item("Q2", label="article")
    scholarly.tick(timedelta(hours=-1))
    return main, scholarly


def test_items_that_the_first_does_not_know_are_the_seconds(worlds: tuple[FakeSource, FakeSource]) -> None:
    source = SplitSource(*worlds)
    heads = {head.id: head for head in source.heads([Q2, Q1, Q3])}
    assert list(heads) == [Q2, Q1, Q3]
    assert [heads[q].deleted for q in (Q1, Q2, Q3)] == [False, False, True]
    assert {r.head.id: r.labels.label for page in source.records([Q1, Q2, Q3], [P50]) for r in page} == {
        Q1: "author",
        Q2: "article",
        Q3: None,
    }
    assert {e.item: e.label for page in source.labels([Q1, Q2, Q3]) for e in page} == {
        Q1: "author",
        Q2: "article",
        Q3: None,
    }
    assert worlds[1].asked == [Q2, Q3]


def test_nothing_is_asked_of_the_second_where_the_first_knows_all(worlds: tuple[FakeSource, FakeSource]) -> None:
    assert [head.id for head in SplitSource(*worlds).heads([Q1])] == [Q1]
    assert worlds[1].questions == {}


def test_the_time_is_that_of_the_endpoint_that_is_behind(worlds: tuple[FakeSource, FakeSource]) -> None:
    assert SplitSource(*worlds).server_time() == worlds[1].now < worlds[0].now


@pytest.mark.parametrize("graph", list(Graph))
def test_a_pattern_is_asked_where_its_relation_says(worlds: tuple[FakeSource, FakeSource], graph: Graph) -> None:
    for world, item in zip(worlds, (Q1, Q2), strict=True):
        world.patterns["?item wdt:P50 []"] = [item]
    relation = Relation(
        name="author",
        property=P50,
        label="author",
        phrasings=from_templates("{} is by"),
        subject_pattern="?item wdt:P50 []",
        graph=graph,
    )
    assert SplitSource(*worlds).subjects(relation) == [Q1 if graph is Graph.MAIN else Q2]
