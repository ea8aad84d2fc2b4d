"""The shipped table holds what the demonstration promises."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from itertools import pairwise

import pytest

from kbsync.demo.table import Kind, Row, Table, time_point
from kbsync.domain.answer_text import normalise
from kbsync.domain.errors import DataError
from kbsync.domain.fact import observe
from kbsync.domain.relation import Relation
from kbsync.domain.statement import Rank, Snak, Statement, TimePoint, Value, ValueKind
from tests.support.demo_fixtures import demo_relations
from tests.support.relation_words import statements


@pytest.fixture(scope="module")
def relations() -> tuple[Relation, ...]:
    return demo_relations()


def groups(table: Table) -> dict[tuple[str, str], list[Row]]:
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in table.statements:
        found[row.subject, row.property].append(row)
    return found


def test_size(table: Table) -> None:
    assert len({row.subject for row in table.statements}) >= 300
    assert len({row.property for row in table.statements}) >= 14
    histories = {row.subject for row in table.statements if row.end} | {c.subject for c in table.changes if c.end}
    assert len(histories) >= 40


def test_every_item_of_a_statement_or_change_exists_and_none_is_idle(table: Table) -> None:
    used = {i for row in table.statements for i in (row.subject, row.object)}
    used |= {i for change in table.changes for i in (change.subject, change.old, change.new) if i}
    assert used == set(table.items)
    assert set(table.properties) == {row.property for row in table.statements}


def test_labels_are_named_once(table: Table) -> None:
    assert all(item.label.strip() == item.label and item.label for item in table.items.values())
    for (_, prop), rows in groups(table).items():
        assert prop in table.properties
        assert len({(row.object, row.start) for row in rows}) == len(rows), "a statement is listed twice"
    for prop in table.properties:
        labels = Counter(normalise(table.label(s)) for s in table.subjects(prop))
        assert not [label for label, count in labels.items() if count > 1], f"{prop} has two subjects of one name"
        objects = {row.object for row in table.statements if row.property == prop}
        names = Counter(normalise(table.label(o)) for o in objects)
        assert not [name for name, count in names.items() if count > 1], f"{prop} has two objects of one name"


def test_aliases_say_something_else_than_the_label(table: Table) -> None:
    for item in table.items.values():
        names = (item.label, *item.aliases)
        assert len(set(names)) == len(names), item


def test_one_value_holds_for_every_fact(table: Table, moment: datetime) -> None:
    for key, rows in groups(table).items():
        live = [row for row in rows if row.end is None]
        assert len(live) == 1, key
        assert all(row.rank is Rank.NORMAL for row in rows if row.end), key
        assert live[0].rank is (Rank.PREFERRED if len(rows) > 1 else Rank.NORMAL), key
        assert all(row.references >= 1 for row in rows), key


def test_times_are_in_order_and_past(table: Table, moment: datetime) -> None:
    for row in table.statements:
        times = [t for t in (row.start, row.end) if t]
        assert [t.sort_key() for t in times] == sorted(t.sort_key() for t in times), row
        assert all(t.reached(moment) for t in times), row
    for rows in groups(table).values():
        starts = [row.start.sort_key() for row in rows if row.start]
        assert starts == sorted(starts)
        for before, after in pairwise(rows):
            assert before.end and after.start and before.end.sort_key() <= after.start.sort_key(), before


def test_changes_fit_the_snapshot(table: Table, moment: datetime) -> None:
    live = {(row.subject, row.property): row for row in table.statements if row.end is None}
    kinds = Counter(change.kind for change in table.changes)
    assert kinds[Kind.CHANGE] >= 10
    assert kinds[Kind.RETRACTION] == kinds[Kind.VANDALISM] == 1
    assert len({change.subject for change in table.changes}) == len(table.changes), "each change has its own item"
    for change in table.changes:
        old = live[change.subject, change.property]
        assert old.object == change.old
        assert (change.new is None) == (change.kind is Kind.RETRACTION)
        if change.kind is Kind.CHANGE:
            assert change.end and change.start and change.end.sort_key() <= change.start.sort_key()
            assert change.start.reached(moment)
            assert old.start is None or old.start.sort_key() < change.end.sort_key()
            assert change.new != change.old
    assert {change.rank for change in table.changes if change.kind is Kind.CHANGE} == {Rank.PREFERRED, Rank.NORMAL}


@pytest.mark.parametrize(
    ("text", "iso", "precision"),
    [("2020", "2020-01-01", 9), ("2020-05", "2020-05-01", 10), ("2020-05-11", "2020-05-11", 11)],
)
def test_the_length_of_a_date_is_its_precision(text: str, iso: str, precision: int) -> None:
    assert time_point(text) == TimePoint(f"{iso}T00:00:00Z", precision)


def test_other_dates_are_refused() -> None:
    assert time_point("") is None
    for text in ("20", "2020-5", "11.5.2020", "2020-05-11T00:00:00Z"):
        with pytest.raises(DataError, match="is not a date"):
            time_point(text)


def test_each_property_of_the_table_is_watched_with_its_subjects(relations: tuple[Relation, ...], table: Table) -> None:
    assert {r.property: r.label for r in relations} == table.properties
    for relation in relations:
        assert relation.subjects == table.subjects(relation.property), relation.name


def test_templates_are_a_prompt_and_at_least_two_paraphrases(relations: tuple[Relation, ...]) -> None:
    for relation in relations:
        assert len(statements(relation)) >= 3, relation.name
        assert all(t.count("{}") == 1 and not t.endswith(("{}", " ")) for t in statements(relation)), relation.name


def test_no_prompt_is_asked_for_two_facts(relations: tuple[Relation, ...], table: Table) -> None:
    prompts = [r.prompt(table.label(subject)) for r in relations for subject in r.subjects]
    assert len(set(prompts)) == len(prompts)


def test_one_answer_holds_for_every_watched_fact(
    relations: tuple[Relation, ...], table: Table, moment: datetime
) -> None:
    for relation in relations:
        for subject in relation.subjects:
            statements = [
                Statement(
                    id=f"{row.subject}${number}",
                    subject=row.subject,
                    property=row.property,
                    snak=Snak.VALUE,
                    value=Value(ValueKind.ITEM, row.object),
                    rank=row.rank,
                    start=row.start,
                    end=row.end,
                    references=row.references,
                )
                for number, row in enumerate(table.group(subject, relation.property))
            ]
            state = observe(statements, relation.cardinality, revision=1, since=moment, now=moment)
            assert len(state.values) == 1, (relation.name, subject)
            assert state.references >= relation.trust.min_references
