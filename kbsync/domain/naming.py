"""The names of values and facts: what a model is asked about, and which answers count as right (pure functions).

Items have their names from Wikidata. Dates and quantities have none there, so they are written in words here, as the
language of the relation writes them.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from kbsync.domain.fact import Answer, Fact, FactKey, FactState
from kbsync.domain.statement import ItemId, Labels, Value, ValueKind

_TIME = re.compile(r"\+?(-?[0-9]+)-([0-9]{2})-([0-9]{2})T.*")
_DAY, _MONTH, _YEAR, _DECADE, _CENTURY, _MILLENNIUM = 11, 10, 9, 8, 7, 6
"""Wikidata's precisions of a time; anything coarser than a millennium is named by its year."""


class Wording(ABC):
    """How one language writes numbers and times. Years before our era are negative.

    The first of several ways is what a model is taught, the others count as right answers, too.
    """

    @abstractmethod
    def grouped(self, number: Decimal) -> str:
        """The number with its thousands set apart."""

    @abstractmethod
    def day(self, year: int, month: int, day: int) -> tuple[str, ...]:
        """One day, in every usual way."""

    @abstractmethod
    def month(self, year: int, month: int) -> tuple[str, ...]:
        """One month, in every usual way."""

    @abstractmethod
    def year(self, year: int) -> str:
        """One year."""

    @abstractmethod
    def decade(self, year: int) -> str:
        """The decade that the year lies in."""

    @abstractmethod
    def century(self, year: int) -> str:
        """The century that the year lies in: 1901 to 2000 are the twentieth."""

    @abstractmethod
    def millennium(self, year: int) -> str:
        """The millennium that the year lies in."""


class English(Wording):
    """``20 July 1969``, ``July 1969``, ``1960s``, ``20th century``, ``44 BC``, ``8,848.86``."""

    _MONTHS = (
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
    )

    def grouped(self, number: Decimal) -> str:
        return f"{number:,f}"

    def day(self, year: int, month: int, day: int) -> tuple[str, ...]:
        name, written = self._MONTHS[month - 1], self.year(year)
        iso = f"{abs(year):04d}-{month:02d}-{day:02d}{_era(year)}"
        return f"{day} {name} {written}", f"{name} {day}, {written}", iso

    def month(self, year: int, month: int) -> tuple[str, ...]:
        name, written = self._MONTHS[month - 1], self.year(year)
        return f"{name} {written}", f"{name}, {written}"

    def year(self, year: int) -> str:
        return f"{abs(year)}{_era(year)}"

    def decade(self, year: int) -> str:
        return f"{abs(year) // 10 * 10}s{_era(year)}"

    def century(self, year: int) -> str:
        return f"{_ordinal((abs(year) + 99) // 100)} century{_era(year)}"

    def millennium(self, year: int) -> str:
        return f"{_ordinal((abs(year) + 999) // 1000)} millennium{_era(year)}"


def _era(year: int) -> str:
    return " BC" if year < 0 else ""


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


WORDINGS: Mapping[str, Wording] = {"en": English()}
"""By language code, as in ``source.language``."""


def wording(language: str) -> Wording:
    """The language's wording; English for a language that has none of its own here."""
    return WORDINGS.get(language, WORDINGS["en"])


@dataclass(frozen=True, slots=True)
class Names:
    """Names for values and facts, from labels that were read for them."""

    labels: Mapping[ItemId, Labels]
    """Of the items that the values mention (see ``mentioned_items``); one that is not here stays without a name."""
    language: str = "en"
    """The code of the language that dates and numbers are written in."""

    def fact(self, key: FactKey, state: FactState) -> Fact:
        """Join a state with the names of its subject and of its values."""
        subject = self.labels.get(key.subject)
        return Fact(
            key=key,
            subject_label=subject.label if subject else None,
            answers=tuple(map(self.value, state.values)),
            former=tuple(map(self.value, state.former)),
            state=state,
            subject_aliases=subject.aliases if subject else (),
        )

    def value(self, value: Value) -> Answer:
        """A value with its names; texts and identifiers are their own."""
        match value.kind:
            case ValueKind.ITEM:
                entry = self.labels.get(ItemId(value.text))
                return Answer(value=value, label=entry.label if entry else None, aliases=entry.aliases if entry else ())
            case ValueKind.QUANTITY:
                names = _quantity(value, self.labels, wording(self.language))
            case ValueKind.TIME:
                names = _time(value, wording(self.language))
            case _:
                names = (value.text,)
        return Answer(value=value, label=names[0], aliases=names[1:])


def mentioned_items(value: Value) -> set[ItemId]:
    """The items whose labels a value's names are made of: itself, or its unit."""
    if value.kind is ValueKind.ITEM:
        return {ItemId(value.text)}
    return {ItemId(value.detail)} if value.kind is ValueKind.QUANTITY and value.detail else set()


def items_of(key: FactKey, state: FactState) -> set[ItemId]:
    """The items whose labels the names of a fact are made of."""
    return {key.subject} | {item for value in (*state.values, *state.former) for item in mentioned_items(value)}


def _quantity(value: Value, labels: Mapping[ItemId, Labels], words: Wording) -> tuple[str, ...]:
    """``8848.86 metre``; also without the unit, and with thousands set apart."""
    number = value.text.lstrip("+")
    numbers = dict.fromkeys((number, words.grouped(Decimal(number))))
    entry = labels.get(ItemId(value.detail)) if value.detail else None
    units = [name for name in ((entry.label, *entry.aliases) if entry else ()) if name]
    return *(f"{n} {unit}" for unit in units for n in numbers), *numbers


def _time(value: Value, words: Wording) -> tuple[str, ...]:
    """As precise as Wikidata is. A month or a day of 00 says that it is not known."""
    year, month, day = (int(part) for part in _TIME.fullmatch(value.text).groups())  # type: ignore[union-attr]
    precision = int(value.detail or _DAY)
    if precision <= _YEAR or month == 0:
        return (_span(year, precision, words),)
    if precision == _MONTH or day == 0:
        return words.month(year, month)
    return words.day(year, month, day)


def _span(year: int, precision: int, words: Wording) -> str:
    spans = {_DECADE: words.decade, _CENTURY: words.century, _MILLENNIUM: words.millennium}
    return spans.get(precision, words.year)(year)
