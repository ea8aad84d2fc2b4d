"""What every ``StatementSource`` must do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kbsync.domain.errors import BadIdentifier, SourceDown, SourceError
from kbsync.domain.phrasing import from_templates
from kbsync.domain.relation import Relation
from kbsync.domain.statement import (
    ItemHead,
    ItemId,
    ItemRecord,
    Labels,
    PropertyId,
    Rank,
    Snak,
    Statement,
    TimePoint,
    Value,
    ValueKind,
)
from kbsync.ports import StatementSource
from kbsync.testing.fake_source import FakeSource

P35, P39, P1082, P18 = (PropertyId(p) for p in ("P35", "P39", "P1082", "P18"))
Q1, Q2, Q3, Q9 = (ItemId(q) for q in ("Q1", "Q2", "Q3", "Q9"))
NOW = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

OpenSource = Callable[[FakeSource], StatementSource]
"""Opens the source under test on a world: it holds what the ``FakeSource`` holds, and nothing else."""


class StatementSourceConformance:
    """Override the fixtures ``open_source`` and ``unreachable``.

    A test describes the world in a ``FakeSource`` and hands it to ``open_source``, which writes the same world into
    whatever the adapter reads (a test server, a file) and returns the adapter. Its pages must hold two items.
    """

    @pytest.fixture
    def open_source(self) -> OpenSource:
        """How to open the source on a world."""
        raise NotImplementedError("override the fixture `open_source`")

    @pytest.fixture
    def unreachable(self) -> StatementSource:
        """A source whose other end is down; it gives up within seconds."""
        raise NotImplementedError("override the fixture `unreachable`")

    def test_server_time_is_the_sources_own(self, open_source: OpenSource) -> None:
        assert open_source(_make_world()).server_time() == NOW

    def test_heads_know_present_deleted_and_redirected_items(self, open_source: OpenSource) -> None:
        world = _make_world()
        world.set_item("Q1", revision=41)
        world.set_item("Q3", revision=43)
        world.redirect("Q2", "Q3", revision=42)
        assert list(open_source(world).heads([Q3, Q1, Q9, Q2])) == [
            ItemHead(id=Q3, revision=43, modified=NOW),
            ItemHead(id=Q1, revision=41, modified=NOW),
            ItemHead(id=Q9, revision=0, modified=None, deleted=True),
            ItemHead(id=Q2, revision=42, modified=NOW, redirect_to=Q3),
        ]

    def test_an_item_asked_for_twice_comes_once(self, open_source: OpenSource) -> None:
        world = _make_world()
        world.set_item("Q1", label="one")
        source = open_source(world)
        assert [head.id for head in source.heads([Q1, Q1])] == [Q1]
        assert [r.head.id for page in source.records([Q1, Q1], [P35]) for r in page] == [Q1]
        assert [n.item for page in source.labels([Q1, Q1]) for n in page] == [Q1]

    def test_nothing_asked_nothing_answered(self, open_source: OpenSource) -> None:
        world = _make_world()
        world.set_item("Q1")
        source = open_source(world)
        assert list(source.heads([])) == []
        assert list(source.records([], [P35])) == []
        assert list(source.labels([])) == []

    def test_a_record_holds_all_statements_of_the_watched_properties_and_no_others(
        self, open_source: OpenSource
    ) -> None:
        world = _make_world()
        statements = [
            _item_statement(1, Q1, P35, "Q101", Rank.PREFERRED),
            _item_statement(2, Q1, P35, "Q102"),
            _item_statement(3, Q1, P35, "Q103", Rank.DEPRECATED),
            _item_statement(4, Q1, P39, "Q104"),
            _item_statement(5, Q1, P18, "Q105"),
        ]
        head = world.set_item("Q1", label="one", aliases=["uno"], statements=statements)
        assert _records_of(open_source(world), [Q1], [P39, P35])[Q1] == ItemRecord(
            head=head, labels=Labels(item=Q1, label="one", aliases=("uno",)), statements=tuple(statements[:4])
        )

    def test_every_asked_item_has_a_record(self, open_source: OpenSource) -> None:
        world = _make_world()
        world.set_item("Q1", label="bare")
        world.set_item("Q3")
        world.redirect("Q2", "Q3")
        records = _records_of(open_source(world), [Q1, Q2, Q3, Q9], [P35])
        assert list(records) == [Q1, Q2, Q3, Q9]
        assert all(record.statements == () for record in records.values())
        assert records[Q9].head.deleted
        assert records[Q2].head.redirect_to == Q3
        assert records[Q1].labels == Labels(item=Q1, label="bare")

    def test_records_without_properties_are_heads_and_labels(self, open_source: OpenSource) -> None:
        world = _make_world()
        world.set_item("Q1", label="one", statements=[_item_statement(1, Q1, P35, "Q101")])
        record = _records_of(open_source(world), [Q1], [])[Q1]
        assert (record.labels.label, record.statements) == ("one", ())

    def test_times_keep_their_precision(self, open_source: OpenSource) -> None:
        world = _make_world()
        statement = replace(
            _item_statement(1, Q1, P39, "Q101"),
            start=TimePoint("2019-01-01T00:00:00Z", 9),
            end=TimePoint("2024-07-05T00:00:00Z", 11),
            point_in_time=TimePoint("-0044-03-01T00:00:00Z", 10),
        )
        world.set_item("Q1", statements=[statement])
        assert _records_of(open_source(world), [Q1], [P39])[Q1].statements == (statement,)

    @pytest.mark.parametrize(
        "value",
        [
            Value(ValueKind.ITEM, "Q84"),
            Value(ValueKind.TIME, "1969-07-20T00:00:00Z", "11"),
            Value(ValueKind.TIME, "1900-01-01T00:00:00Z", "7"),
            Value(ValueKind.TIME, "-0500-01-01T00:00:00Z", "9"),
            Value(ValueKind.QUANTITY, "+8848.86", "Q11573"),
            Value(ValueKind.QUANTITY, "-40", "Q25267"),
            Value(ValueKind.QUANTITY, "+68000000"),
            Value(ValueKind.QUANTITY, "+0"),
            Value(ValueKind.MONOLINGUAL, "République « française »", "fr"),
            Value(ValueKind.STRING, 'with "quotes", \\ and\nlines'),
            Value(ValueKind.STRING, ""),
            Value(ValueKind.OTHER, "https://example.org/page?a=1&b=%20"),
            Value(ValueKind.OTHER, "http://www.wikidata.org/entity/P31"),
        ],
    )
    def test_values_of_every_kind(self, open_source: OpenSource, value: Value) -> None:
        world = _make_world()
        world.set_item("Q1", statements=[replace(_item_statement(1, Q1, P1082, "Q2"), value=value)])
        assert _records_of(open_source(world), [Q1], [P1082])[Q1].statements[0].value == value

    @pytest.mark.parametrize("snak", [Snak.SOMEVALUE, Snak.NOVALUE])
    def test_unknown_and_no_value(self, open_source: OpenSource, snak: Snak) -> None:
        world = _make_world()
        statement = replace(_item_statement(1, Q1, P35, "Q2"), snak=snak, value=None)
        world.set_item("Q1", statements=[statement])
        assert _records_of(open_source(world), [Q1], [P35])[Q1].statements == (statement,)

    @pytest.mark.parametrize("count", [0, 1, 7])
    def test_references_are_counted(self, open_source: OpenSource, count: int) -> None:
        world = _make_world()
        statement = replace(
            _item_statement(1, Q1, P35, "Q2"), references=count, start=TimePoint("2000-01-01T00:00:00Z", 9)
        )
        world.set_item("Q1", statements=[statement])
        assert _records_of(open_source(world), [Q1], [P35])[Q1].statements == (statement,)

    def test_labels_in_pages_one_entry_an_item(self, open_source: OpenSource) -> None:
        world = _make_world()
        world.set_item("Q1", label="one", aliases=["uno", "Eins", "eins"])
        world.set_item("Q2", label="\N{GREEK SMALL LETTER PI} {} %s")
        world.set_item("Q3")
        pages = list(open_source(world).labels([Q3, Q2, Q9, Q1]))
        assert [len(page) for page in pages] == [2, 2]
        assert [entry for page in pages for entry in page] == [
            Labels(item=Q3, label=None),
            Labels(item=Q2, label="\N{GREEK SMALL LETTER PI} {} %s"),
            Labels(item=Q9, label=None),
            Labels(item=Q1, label="one", aliases=("Eins", "eins", "uno")),
        ]

    def test_a_redirect_goes_by_the_name_of_what_it_leads_to(self, open_source: OpenSource) -> None:
        world = _make_world()
        world.set_item("Q3", label="three", aliases=["drei"])
        world.redirect("Q2", "Q3")
        assert [entry for page in open_source(world).labels([Q2, Q3]) for entry in page] == [
            Labels(item=Q2, label="three", aliases=("drei",)),
            Labels(item=Q3, label="three", aliases=("drei",)),
        ]

    def test_subjects_are_listed_and_found_sorted_without_doubles(self, open_source: OpenSource) -> None:
        pattern = "?item p:P39/ps:P39 wd:Q77"
        world = _make_world()
        holders = [ItemId(f"Q{n}") for n in (12, 3, 2, 101, 30)]
        for holder in holders:
            world.set_item(
                holder, statements=[_item_statement(1, holder, P39, "Q77"), _item_statement(2, holder, P39, "Q77")]
            )
        world.set_item("Q50", statements=[_item_statement(1, ItemId("Q50"), P39, "Q78")])
        world.patterns[pattern] = holders
        relation = Relation(
            name="office",
            property=P39,
            label="office",
            phrasings=from_templates("{} is"),
            subjects=(Q9, Q3),
            subject_pattern=pattern,
        )
        assert open_source(world).subjects(relation) == ["Q101", "Q12", "Q2", "Q3", "Q30", "Q9"]

    def test_subjects_that_are_listed_only(self, open_source: OpenSource) -> None:
        relation = Relation(
            name="office", property=P39, label="office", phrasings=from_templates("{} is"), subjects=(Q9, Q3, Q9)
        )
        assert open_source(_make_world()).subjects(relation) == ["Q3", "Q9"]

    def test_an_edit_shows_up_with_a_higher_revision(self, open_source: OpenSource) -> None:
        world = _make_world()
        before = world.set_item("Q1", statements=[_item_statement(1, Q1, P35, "Q101")])
        assert _records_of(open_source(world), [Q1], [P35])[Q1].head == before
        world.tick()
        after = world.set_item("Q1", statements=[_item_statement(2, Q1, P35, "Q102")])
        source = open_source(world)
        record = _records_of(source, [Q1], [P35])[Q1]
        assert record.head == after
        assert after.revision > before.revision
        assert [s.value.text for s in record.statements if s.value] == ["Q102"]
        assert source.server_time() > NOW
        world.delete("Q1")
        world.set_item("Q2")
        assert next(iter(open_source(world).heads([Q1]))).deleted

    def test_pages_come_as_they_are_done(self, open_source: OpenSource) -> None:
        world = _make_world()
        for number in range(1, 6):
            world.set_item(f"Q{number}")
        pages = open_source(world).records([ItemId(f"Q{n}") for n in range(1, 6)], [P35])
        assert [[record.head.id for record in page] for page in pages] == [["Q1", "Q2"], ["Q3", "Q4"], ["Q5"]]

    @pytest.mark.parametrize("bad", ["Q0", "P31", "q1", "Q1 } UNION { ?item ?p ?o", "", "Q1\n"])
    def test_what_is_no_item_is_refused(self, open_source: OpenSource, bad: str) -> None:
        world = _make_world()
        world.set_item("Q1")
        source = open_source(world)
        with pytest.raises(BadIdentifier):
            list(source.heads([ItemId(bad)]))
        with pytest.raises(BadIdentifier):
            list(source.records([ItemId(bad)], [P35]))
        with pytest.raises(BadIdentifier):
            list(source.labels([ItemId(bad)]))

    def test_a_source_that_is_down_says_so(self, unreachable: StatementSource) -> None:
        with pytest.raises(SourceDown) as caught:
            unreachable.server_time()
        assert isinstance(caught.value, SourceError)
        assert caught.value.transient


def _make_world() -> FakeSource:
    return FakeSource(page=2, now=NOW)


def _item_statement(number: int, subject: ItemId, prop: PropertyId, target: str, rank: Rank = Rank.NORMAL) -> Statement:
    return Statement(
        id=f"{subject}$0000000{number}-AAAA-4BBB-8CCC-DDDDDDDDDDDD",
        subject=subject,
        property=prop,
        snak=Snak.VALUE,
        value=Value(ValueKind.ITEM, target),
        rank=rank,
    )


def _records_of(source: StatementSource, items: list[ItemId], properties: list[PropertyId]) -> dict[ItemId, ItemRecord]:
    return {record.head.id: record for page in source.records(items, properties) for record in page}
