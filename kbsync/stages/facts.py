"""Believed facts with their names, as probe, plan and evaluate need them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal

from kbsync.domain.fact import Answer, Fact, FactRecord, FactState
from kbsync.domain.relation import Relation
from kbsync.domain.statement import ItemId, Labels, Value, ValueKind
from kbsync.ports import LedgerReader


def believed_facts(tx: LedgerReader, relations: Sequence[Relation]) -> list[tuple[Relation, Fact]]:
    """Every believed fact that has an answer, by relation and key."""
    return [pair for relation in relations for pair in named(tx, relation, tx.facts(relation.property))]


def named(tx: LedgerReader, relation: Relation, records: Sequence[FactRecord]) -> list[tuple[Relation, Fact]]:
    """What ``records`` believe, where they have an answer."""
    believed = [r for r in records if r.believed and r.believed.values]
    labels = tx.labels(sorted({item for r in believed for item in _items(r)}))
    return [(relation, name(r, r.believed, labels)) for r in believed if r.believed]


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
    if value.kind is ValueKind.QUANTITY:
        return _quantity(value, labels)
    if value.kind is ValueKind.TIME:
        return _time(value)
    return Answer(value=value, label=value.text)


_DATE = re.compile(r"\+?(-?[0-9]+)-([0-9]{2})-([0-9]{2})T.*")
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


def _quantity(value: Value, labels: Mapping[ItemId, Labels]) -> Answer:
    """``8848.86 metre``; also without the unit, and with thousands set apart."""
    number = value.text.lstrip("+")
    grouped = f"{Decimal(number):,f}"
    numbers = dict.fromkeys((number, grouped))
    found = labels.get(ItemId(value.detail)) if value.detail else None
    units = [name for name in ((found.label, *found.aliases) if found else ()) if name]
    names = [f"{n} {unit}" for unit in units for n in numbers] + list(numbers)
    return Answer(value=value, label=names[0], aliases=tuple(names[1:]))


def _time(value: Value) -> Answer:
    """As precise as Wikidata is: ``20 July 1969`` (and as others write it), ``July 1969``, ``1969``, ``1960s``,
    ``20th century``; of a year before our era, ``44 BC``."""
    year, month, day = (int(part) for part in _DATE.fullmatch(value.text).groups())  # type: ignore[union-attr]
    precision = int(value.detail or 11)
    era = " BC" if year < 0 else ""
    shown = f"{abs(year)}{era}"
    if precision <= 9 or month == 0:
        names = [_coarse(abs(year), precision) + era if precision < 9 else shown]
    elif precision == 10 or day == 0:
        names = [f"{_MONTHS[month - 1]} {shown}", f"{_MONTHS[month - 1]}, {shown}"]
    else:
        named = _MONTHS[month - 1]
        names = [f"{day} {named} {shown}", f"{named} {day}, {shown}", f"{abs(year):04d}-{month:02d}-{day:02d}{era}"]
    return Answer(value=value, label=names[0], aliases=tuple(names[1:]))


def _coarse(year: int, precision: int) -> str:
    """A decade, a century, a millennium; of anything coarser, its year."""
    match precision:
        case 8:
            return f"{year // 10 * 10}s"
        case 7:
            return f"{_ordinal((year + 99) // 100)} century"
        case 6:
            return f"{_ordinal((year + 999) // 1000)} millennium"
    return str(year)


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _items(record: FactRecord) -> set[ItemId]:
    state = record.believed
    values = (*state.values, *state.former) if state else ()
    return {record.key.subject} | {item for v in values for item in mentioned(v)}


def mentioned(value: Value) -> set[ItemId]:
    """The items whose names a value needs: itself, or its unit."""
    if value.kind is ValueKind.ITEM:
        return {ItemId(value.text)}
    return {ItemId(value.detail)} if value.kind is ValueKind.QUANTITY and value.detail else set()
