"""The names of values and facts: what a model is asked about, and which answers count as right (pure functions).

Items have their names from Wikidata. Dates and quantities have none there, so they are written in words here, as the
language of the relation writes them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from kbsync.domain.date_names import DAY, number_names, time_names
from kbsync.domain.fact import Answer, Fact, FactKey, FactState
from kbsync.domain.statement import ItemId, Labels, Value, ValueKind


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
                names = _quantity(value, self.labels, self.language)
            case ValueKind.TIME:
                names = time_names(value.text, int(value.detail or DAY), self.language)
            case ValueKind.OTHER:
                names = _other(value.text)
            case _:
                names = (value.text,)
        return Answer(value=value, label=next(iter(names), None), aliases=names[1:])


_NO_NAMES = re.compile(
    r"^(<[^>]*>\s*)?(Point|LineString|Polygon|Multi\w+|GeometryCollection)\s*\(|^https?://\S+/entity/[A-Z]\d+(-[A-Z]\d+)?$"
    r"|^https?://\S+/data/main/(Data:|\S+\.(map|tab)$)|^https?://www\.w3\.org/1998/Math/|^<math",
    re.IGNORECASE,
)
"""Coordinates, properties and lexemes, map and table data, formulas."""
_FILE = "/wiki/Special:FilePath/"


def _other(text: str) -> tuple[str, ...]:
    """The name of a value that is neither an item, a number, a time nor a text: of a file, its own; a web address is
    its own name. Coordinates and identifiers of properties or lexemes have none: nobody would say them so."""
    if _FILE in text:
        return (unquote(text.rpartition(_FILE)[2]).replace("_", " "),)
    return () if _NO_NAMES.search(text) else (text,)


def mentioned_items(value: Value) -> set[ItemId]:
    """The items whose labels a value's names are made of: itself, or its unit."""
    if value.kind is ValueKind.ITEM:
        return {ItemId(value.text)}
    return {ItemId(value.detail)} if value.kind is ValueKind.QUANTITY and value.detail else set()


def items_of(key: FactKey, state: FactState) -> set[ItemId]:
    """The items whose labels the names of a fact are made of."""
    return {key.subject} | {item for value in (*state.values, *state.former) for item in mentioned_items(value)}


def _quantity(value: Value, labels: Mapping[ItemId, Labels], language: str) -> tuple[str, ...]:
    """``8848.86 metre``; also without the unit, and with thousands set apart."""
    numbers = number_names(value.text.lstrip("+"), language)
    entry = labels.get(ItemId(value.detail)) if value.detail else None
    units = [name for name in ((entry.label, *entry.aliases) if entry else ()) if name]
    return *(f"{n} {unit}" for unit in units for n in numbers), *numbers
