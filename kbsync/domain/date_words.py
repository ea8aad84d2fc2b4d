"""How languages write dates and numbers, as ``data/date_words.toml`` says: a table for each language, by its code.

A pattern holds ``{d}`` (the day's number), ``{m}`` (the month's name), ``{n}`` (its number), ``{y}`` (the year),
``{c}`` (the number of a decade, a century or a millennium), ``{r}`` (the same in Roman numerals) and ``{o}`` (the same
as an English ordinal). A pattern for a day without ``{d}`` is for the first of a month. The first of several patterns
is what a model is taught; the others count as right, too.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class DateWords:
    """How one language writes dates and numbers."""

    months: str
    """The twelve months as they stand in a date, in the case that it asks for; ``_`` stands for a blank in one."""
    alone: str = ""
    """The twelve months as they stand without a day, where that differs."""
    day: tuple[str, ...]
    month: tuple[str, ...]
    year: str = "{y}"
    year_too: tuple[str, ...] = ()
    """Other ways in which a year stands in a sentence."""
    before: str
    """What becomes of a year, decade, century or millennium before our era; ``{}`` is that."""
    before_too: tuple[str, ...]
    """Other ways to say it."""
    after: str
    """What becomes of a year of our era of one or two digits, which would be a mere number."""
    decade: str
    century: str
    century_too: tuple[str, ...] = ()
    """Other ways to write it."""
    millennium: str
    million: str
    """A number of millions of years ago, for the precisions of geology."""
    billion: str
    thousands: str = "."
    """What sets thousands apart."""
    decimal: str = ","
    """What stands before the decimals."""

    def names(self, *, alone: bool = False) -> tuple[str, ...]:
        """The months, in a date or alone."""
        words = (self.alone or self.months) if alone else self.months
        return tuple(word.replace("_", " ") for word in words.split())


@cache
def date_words() -> Mapping[str, DateWords]:
    """The languages whose dates are known, by their codes, in the order of the file."""
    tables = tomllib.loads(files("kbsync.domain").joinpath("data/date_words.toml").read_text(encoding="utf-8"))
    return {language: _of_table(table) for language, table in tables.items()}


def _of_table(table: Mapping[str, Any]) -> DateWords:
    fields: dict[str, Any] = {name: tuple(said) if isinstance(said, list) else said for name, said in table.items()}
    return DateWords(**fields)
