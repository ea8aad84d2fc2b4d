"""Believed facts with their names, as probe, plan and evaluate need them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kbsync.domain.fact import Answer, Fact, FactRecord, FactState
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, Labels, Value, ValueKind
from kbsync.ports import LedgerReader


def believed_facts(tx: LedgerReader, relations: Sequence[Relation]) -> list[tuple[Relation, Fact]]:
    """Every believed fact that has an answer, by relation and key."""
    found = []
    for relation in relations:
        records = [r for r in tx.facts(relation.property) if r.believed and r.believed.values]
        labels = tx.labels(sorted({item for r in records for item in _items(r)}))
        found += [(relation, name(r, r.believed, labels)) for r in records if r.believed]
    return found


def name(record: FactRecord, state: FactState, labels: Mapping[ItemId, Labels]) -> Fact:
    """Join a state with the labels of its subject and objects."""
    subject = labels.get(record.key.subject)
    return Fact(
        key=record.key,
        subject_label=subject.label if subject else None,
        answers=tuple(answer(value, labels) for value in state.values),
        former=tuple(answer(value, labels) for value in state.former),
        state=state,
    )


def answer(value: Value, labels: Mapping[ItemId, Labels]) -> Answer:
    """A value with its names; anything but an item is named by its own text."""
    if value.kind is ValueKind.ITEM:
        found = labels.get(ItemId(value.text))
        return Answer(value=value, label=found.label if found else None, aliases=found.aliases if found else ())
    return Answer(value=value, label=_text(value))


_MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]


def _text(value: Value) -> str:
    if value.kind is ValueKind.QUANTITY:
        return value.text.lstrip("+")
    if value.kind is ValueKind.TIME:
        year, month, day = value.text.lstrip("+").split("T")[0].rsplit("-", 2)
        match int(value.detail or 11):
            case precision if precision >= 11:
                return f"{int(day)} {_MONTHS[int(month) - 1]} {int(year)}"
            case 10:
                return f"{_MONTHS[int(month) - 1]} {int(year)}"
            case _:
                return str(int(year))
    return value.text


def _items(record: FactRecord) -> set[ItemId]:
    state = record.believed
    values = (*state.values, *state.former) if state else ()
    return {record.key.subject} | {ItemId(v.text) for v in values if v.kind is ValueKind.ITEM}
