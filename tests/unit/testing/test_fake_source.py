"""What the fake source does beyond the port: it is edited, it counts, and it fails on demand."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kbsync.domain.errors import SourceDown, SourceError
from kbsync.domain.statement import ItemId
from kbsync.testing import FakeSource
from kbsync.testing.samples import HEAD_OF_STATE

ITEMS = [ItemId(f"Q{number}") for number in range(1, 6)]


@pytest.fixture
def source() -> FakeSource:
    source = FakeSource(page=2)
    for item in ITEMS:
        source.set_item(item, label=f"label of {item}")
    return source


def test_every_edit_has_the_worlds_next_revision_and_its_time(source: FakeSource) -> None:
    first = source.set_item("Q1", label="one")
    source.tick(timedelta(days=2))
    second = source.redirect("Q2", "Q1")
    assert second.revision == first.revision + 1
    assert first.modified is not None and second.modified == first.modified + timedelta(days=2)
    assert source.set_item("Q3", revision=7).revision == 7
    assert source.set_item("Q4").revision == second.revision + 2


def test_an_alias_that_is_the_label_is_none(source: FakeSource) -> None:
    source.set_item("Q1", label="one", aliases=["uno", "one", "eins"])
    assert source.items[ItemId("Q1")].aliases == ("eins", "uno")


def test_questions_are_counted_and_asked_items_noted(source: FakeSource) -> None:
    source.server_time()
    list(source.heads(ITEMS[:2]))
    list(source.records(ITEMS[1:3], [HEAD_OF_STATE]))
    list(source.records(ITEMS[:1], []))
    assert source.questions == {"server_time": 1, "heads": 1, "records": 2}
    assert source.asked == list(ITEMS[1:3]), "those that were asked for with properties"


def test_failures_come_in_the_order_of_the_questions(source: FakeSource) -> None:
    source.fail_next(SourceDown("away"))
    source.fail_next(SourceError("broken"), after_pages=1)
    with pytest.raises(SourceDown):
        source.server_time()
    pages = source.records(ITEMS, [])
    assert [record.head.id for record in next(pages)] == ["Q1", "Q2"]
    with pytest.raises(SourceError, match="broken"):
        next(pages)
    assert len(list(source.records(ITEMS, []))) == 3


def test_a_failure_after_the_last_page_comes_after_it(source: FakeSource) -> None:
    source.fail_next(SourceDown("away"), after_pages=9)
    pages = []
    with pytest.raises(SourceDown):
        for page in source.labels(ITEMS):
            pages.append(page)
    assert len(pages) == 3
