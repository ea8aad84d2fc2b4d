"""Dates and quantities in an answer: found, and compared with a value as precisely as both are written (pure)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from kbsync.domain.date_names import read_date
from kbsync.domain.date_words import date_words

ENGLISH = "en"

_MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
_MONTH = "(" + "|".join(f"{m[:3]}(?:{m[3:]})?" if len(m) > 3 else m for m in _MONTHS) + r")\.?"
_ERA = r"(?:\s?(?:(b\.?c\.?(?:e\.?)?)|a\.?d\.?|c\.?e\.?))?(?![\w])"
_AD = r"(?:a\.?d\.? )"
_YEAR = rf"(?:{_AD}(?=\d)|(?=\d{{3}}))(?P<y>\d{{1,4}})"
"""A year behind a month; what has one or two digits alone is a day."""
_DIGIT = re.compile(r"\d")
_ISO = re.compile(rf"\b(?P<y>\d{{4}})-(?P<n>\d{{2}})-(?P<d>\d{{2}})\b{_ERA}", re.IGNORECASE)
_DATES = (
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?: of)? {_MONTH},? {_AD}?(?P<y>\d{{1,4}}){_ERA}", re.IGNORECASE),
    re.compile(rf"\b{_MONTH} (?P<d>\d{{1,2}})(?:st|nd|rd|th)?,? {_YEAR}{_ERA}", re.IGNORECASE),
    _ISO,
    re.compile(rf"\b{_MONTH},? (?:of )?{_YEAR}{_ERA}", re.IGNORECASE),
    re.compile(rf"(?<![\d.,-])(?P<y>\d{{1,4}})(?![\d,.]*\d)(?P<s>s?){_ERA}", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True)
class Date:
    """A day, a month, a year or a decade; years before our era are negative."""

    year: int
    month: int = 0
    day: int = 0
    decade: bool = False

    def fixes(self, other: Date) -> bool:
        """Whether saying this date says ``other``, which may be coarser but not finer."""
        if other.decade:
            return self.year // 10 == other.year // 10
        if self.decade or self.year != other.year:
            return False
        return (not other.month or self.month == other.month) and (not other.day or self.day == other.day)

    def begins(self, other: Date) -> bool:
        """Whether this is ``other`` with the last digit of its year cut off."""
        return (self.month, self.day) == (other.month, other.day) and self.year == other.year // 10 and self.year > 99


def find_date(text: str) -> tuple[Date, int, int] | None:
    """The first date in ``text``, read as finely as it is written, with where it begins and ends."""
    best = None
    for pattern in _DATES:
        match = pattern.search(text)
        if match and (best is None or match.start() < best[1]):
            best = (_date(match), match.start(), match.end())
    return best


def _date(match: re.Match[str]) -> Date:
    groups = match.groupdict()
    month = int(groups["n"]) if groups.get("n") else 0
    era = any(g and g.casefold().startswith("b") and g.casefold().strip("bce.") == "" for g in match.groups())
    for word in match.groups():
        if word and word[:3].casefold() in {m[:3] for m in _MONTHS} and word.isalpha():
            month = next(i for i, m in enumerate(_MONTHS, 1) if m.startswith(word[:3].casefold()))
            break
    year = int(groups["y"]) * (-1 if era else 1)
    return Date(year, month, int(groups.get("d") or 0), decade=bool(groups.get("s")))


def dates_named(names: Sequence[str]) -> tuple[str, list[Date]] | None:
    """The dates that ``names`` are, all written in one language, and its code; None where some are something else."""
    if not names or not all(_DIGIT.search(name) for name in names):  # most names: no language has to be tried
        return None
    for language in date_words():
        dates = [date for name in names if (date := date_named(name, language))]
        if len(dates) == len(names):
            return language, dates
    return None


def date_in(text: str, language: str) -> tuple[Date, int, int] | None:
    """As ``find_date``, in the words of any language; dates in figures alone are read in each."""
    if language == ENGLISH:
        return find_date(text)
    own, figures = read_date(text, language), _ISO.search(text)
    if figures and (own is None or figures.start() <= own.start):
        return _date(figures), figures.start(), figures.end()
    return (Date(own.year, own.month, own.day), own.start, own.end) if own else None


def date_named(name: str, language: str = ENGLISH) -> Date | None:
    """The date that ``name`` is, None where it is something else. A bare number of three or four digits is a year."""
    text = name.strip()
    if language != ENGLISH:
        own = read_date(text, language, whole=True)
        if own and (own.month or own.year < 0 or not text.isdigit() or 3 <= len(text) <= 4):
            return Date(own.year, own.month, own.day)
        return _date(figures) if (figures := _ISO.fullmatch(text)) else None
    bare = re.sub(rf"^{_AD}", "", text, flags=re.IGNORECASE)
    found = find_date(bare)
    if not found or found[1] != 0 or found[2] != len(bare):
        return None
    date = found[0]
    return date if date.month or date.decade or date.year < 0 or not text.isdigit() or 3 <= len(text) <= 4 else None


_NUMBER = re.compile(r"(?<![\w.,])[+-]?(?:\d{1,3}(?:[,\u202f\u00a0' ]\d{3})+(?![\d])|\d+)(?:\.\d+)?(?![\w]*\d)")
_SCALES = {"hundred": 2, "thousand": 3, "million": 6, "billion": 9, "trillion": 12, "bn": 9, "mn": 6}
_NUMERALS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven"),
    *("eight", "nine", "ten", "eleven", "twelve"),
)
_NUMERAL = re.compile(r"\b(" + "|".join(_NUMERALS) + r")\b", re.IGNORECASE)
_UNIT = re.compile(r"[\s-]*((?:sq(?:uare)?\.? )?[a-z°²³µ%]+[²³]?)", re.IGNORECASE)
_SIZES = (
    ("length", "km kilometre kilometer", "1000"),
    ("length", "m metre meter", "1"),
    ("length", "cm centimetre centimeter", "0.01"),
    ("length", "ft foot feet", "0.3048"),
    ("length", "yd yard", "0.9144"),
    ("length", "inch inche", "0.0254"),
    ("length", "mi mile", "1609.344"),
    ("area", "ha hectare", "10000"),
    ("area", "acre", "4046.8564224"),
    ("time", "yr year", "1"),
)
_UNITS = {name: (kind, Decimal(size)) for kind, names, size in _SIZES for name in names.split()}
"""What a unit measures, and its size in metres, square metres or years; names without the "s" of the plural."""


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number with its unit, and how precisely it is written."""

    number: Decimal
    step: Decimal
    """What its last significant digit counts."""
    digits: int
    """How many of its digits are significant; a number with "million" and the like has at least two."""
    kind: str = ""
    """What the unit measures: ``length``, ``area`` or ``time``; empty where there is no unit, or another one."""
    size: Decimal = Decimal(1)
    """The unit, in metres, square metres or years."""

    def agrees(self, value: Quantity, *, over: bool = False) -> bool:
        """Whether this is ``value`` rounded to the digits that are written here.

        Args:
            value: What is right.
            over: The answer says "more than": a number that was cut instead of rounded agrees, too.
        """
        if value.kind and self.kind and value.kind != self.kind:
            return False
        if self.kind in ("length", "area") and not value.kind:
            return False
        wanted = value.number * value.size / self.size if self.kind and value.kind else value.number
        if wanted == self.number:
            return True
        if self.digits < min(2, value.digits):
            return False
        low = self.number if over else self.number - self.step / 2
        return low <= wanted < self.number + (self.step if over else self.step / 2)


def find_quantity(text: str) -> tuple[Quantity, int, int] | None:
    """The first number in ``text`` with its unit, and where it begins and ends."""
    text = text.replace("\u2212", "-")  # the sign of typography
    match, numeral = _NUMBER.search(text), _NUMERAL.search(text)
    if numeral and (match is None or numeral.start() < match.start()):
        number, end, begin = Decimal(_NUMERALS.index(numeral.group().casefold())), numeral.end(), numeral.start()
        step, digits = Decimal(1), 2
    elif match:
        written = re.sub(r"[^\d.+-]", "", match.group())
        number, end, begin = Decimal(written), match.end(), match.start()
        step, digits = _precision(written)
    else:
        return None
    unit, after = _unit(text, end)
    while unit in _SCALES:
        number, step, digits = number * 10 ** _SCALES[unit], step * 10 ** _SCALES[unit], max(digits, 2)
        end = after
        unit, after = _unit(text, end)
    kind, size = _measure(unit)
    return Quantity(number, step, digits, kind, size), begin, after if kind else end


def _precision(written: str) -> tuple[Decimal, int]:
    """What the last significant digit counts, and how many are significant."""
    plain = written.lstrip("+-")
    if "." in plain:
        return Decimal(1).scaleb(-len(plain.split(".")[1])), max(1, len(plain.replace(".", "").lstrip("0")))
    kept = plain.lstrip("0").rstrip("0")
    return Decimal(10) ** (len(plain) - len(plain.rstrip("0"))) if kept else Decimal(1), max(1, len(kept))


def _unit(text: str, end: int) -> tuple[str, int]:
    match = _UNIT.match(text, end)
    return (match.group(1).casefold(), match.end()) if match else ("", end)


def _measure(unit: str) -> tuple[str, Decimal]:
    """What a unit measures and how large it is."""
    plain = unit.rstrip(".")
    square = plain.startswith("sq") or plain.endswith("²")
    plain = re.sub(r"^sq(?:uare)?\.? ?|[²³]$", "", plain)
    kind, size = _UNITS.get(plain) or _UNITS.get(plain.removesuffix("s")) or ("", Decimal(1))
    return ("area", size * size) if square and kind == "length" else (kind, size)


_ORDINAL = re.compile(r"\.\s?[^\W\d_]")


def quantity_named(name: str) -> Quantity | None:
    """The quantity that ``name`` is, a number with or without a unit; None where it is something else."""
    found = find_quantity(name)
    if not found or found[1] != 0 or not (name[:1].isdigit() or name[:1] == "-"):
        return None
    if not found[0].kind and (name[found[2] : found[2] + 1].isalpha() or _ORDINAL.match(name, found[2])):
        return None  # "20th century", "20. Jahrhundert"
    rest = name[found[2] :].strip()
    return found[0] if not rest or (not any(c.isdigit() for c in rest) and len(rest.split()) <= 3) else None
