"""The suite notices a source that breaks a promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import pytest

from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemHead, ItemId, ItemRecord, Labels, PropertyId
from kbsync.ports import StatementSource
from kbsync.testing import FakeSource
from kbsync.testing.conformance import StatementSourceConformance

SUITE = StatementSourceConformance()


class Through(StatementSource):
    """Passes everything on to the world."""

    def __init__(self, world: FakeSource) -> None:
        self.world, self.name = world, world.name

    def server_time(self) -> datetime:
        return self.world.server_time()

    def subjects(self, relation: Relation) -> list[ItemId]:
        return self.world.subjects(relation)

    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        return self.world.heads(items)

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        return self.world.records(items, properties)

    def labels(self, items: Sequence[ItemId]) -> Iterator[list[Labels]]:
        return self.world.labels(items)


class Unsorted(Through):
    def subjects(self, relation: Relation) -> list[ItemId]:
        return super().subjects(relation)[::-1]


class Silent(Through):
    """Says nothing of items that it does not know."""

    def heads(self, items: Sequence[ItemId]) -> Iterator[ItemHead]:
        return (head for head in super().heads(items) if not head.deleted)

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        return ([r for r in page if not r.head.deleted] for page in super().records(items, properties))


class Eager(Through):
    """Answers everything at once."""

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        return iter([[record for page in super().records(items, properties) for record in page]])


class Chatty(Through):
    """Tells statements that it was not asked for."""

    def records(self, items: Sequence[ItemId], properties: Sequence[PropertyId]) -> Iterator[list[ItemRecord]]:
        return super().records(items, [*properties, PropertyId("P18"), PropertyId("P39")])


Check = Callable[[Callable[[FakeSource], StatementSource]], None]


@pytest.mark.parametrize(
    ("source", "check"),
    [
        (Unsorted, SUITE.test_subjects_are_listed_and_found_sorted_without_doubles),
        (Silent, SUITE.test_heads_know_present_deleted_and_redirected_items),
        (Silent, SUITE.test_every_asked_item_has_a_record),
        (Eager, SUITE.test_pages_come_as_they_are_done),
        (Chatty, SUITE.test_a_record_holds_all_statements_of_the_watched_properties_and_no_others),
    ],
)
def test_a_source_that_breaks_a_promise_is_noticed(source: type[Through], check: Check) -> None:
    check(Through)
    with pytest.raises(AssertionError):
        check(source)


def test_a_source_that_is_up_is_not_down() -> None:
    with pytest.raises(pytest.fail.Exception):
        SUITE.test_a_source_that_is_down_says_so(FakeSource())
