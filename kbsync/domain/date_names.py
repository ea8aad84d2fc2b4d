"""Dates and numbers in the words of a language: written as names, and found again in an answer (pure functions)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from functools import cache
from typing import NamedTuple

from kbsync.domain.date_words import DateWords, date_words
from kbsync.domain.languages import chain

_TIME = re.compile(r"\+?(-?[0-9]+)-([0-9]{2})-([0-9]{2})T.*")
DAY, _MONTH, _YEAR = 11, 10, 9
"""Wikidata's precisions of a time: 8 is a decade, 7 a century, 6 a millennium, and coarser ones are ages."""
_MILLIONS = {3: 10**6, 2: 10**7, 1: 10**8}
"""How the precisions of geology are rounded; 0 is a billion of years."""
_THOUSANDS = {5: 10**4, 4: 10**5}
_SPELLED = (
    *("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"),
    *("eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth", "seventeenth", "eighteenth"),
    *("nineteenth", "twentieth", "twenty-first"),
)


def words_of(language: str) -> DateWords | None:
    """How a language writes dates, or the first of those that stand in for it; None where that is not known here."""
    return next((date_words()[code] for code in chain(language) if code in date_words()), None)


def time_names(text: str, precision: int, language: str) -> tuple[str, ...]:
    """A time in words, as precise as Wikidata is; a month or a day of 00 says that it is not known.

    Args:
        text: As a ``Value`` holds it: years before our era are counted as people count them, 1 BC being -0001.
        precision: Wikidata's.
        language: The code of the language.

    Returns:
        What a model is taught first, then other usual ways. In a language whose words are not known here, days and
        months are written as ISO 8601 has them and years as numbers, and for anything else there is no name.
    """
    year, month, day = (int(part) for part in _TIME.fullmatch(text).groups())  # type: ignore[union-attr]
    words = words_of(language)
    if precision <= _YEAR or month == 0:
        return _span(year, precision, words)
    iso = f"{abs(year):04d}-{month:02d}" + (f"-{day:02d}" if precision > _MONTH and day else "")
    if words is None:
        return (iso,) if year > 0 else ()
    if precision == _MONTH or day == 0:
        return tuple(_put(pattern, words, year, month, 0) for pattern in words.month)
    first = [pattern for pattern in words.day if "{d}" not in pattern] if day == 1 else []
    patterns = first + [pattern for pattern in words.day if "{d}" in pattern]
    written = [_put(pattern, words, year, month, day) for pattern in patterns]
    if year < 0:
        return *written, *([f"{iso} BC"] if words is date_words()["en"] else [])
    return *written, iso


def number_names(text: str, language: str) -> tuple[str, ...]:
    """A decimal number with the language's decimal sign; also with thousands set apart."""
    words = words_of(language)
    if words is None:
        return (text,)
    plain, grouped = text, f"{Decimal(text):,f}"
    signs = str.maketrans({",": words.thousands, ".": words.decimal})
    return tuple(dict.fromkeys((plain.translate(signs), grouped.translate(signs))))


def _span(year: int, precision: int, words: DateWords | None) -> tuple[str, ...]:
    """A year, or something longer; where a year is too small for its precision, the year, as on the item's page."""
    if words is None:
        return (str(year),) if year > 0 and precision == _YEAR else ()
    number = abs(year)
    match precision:
        case 8 if decade := number // 10 * 10:
            return _age((words.decade,), decade, year, words)
        case 7:
            return _age((words.century, *words.century_too), (number + 99) // 100, year, words)
        case 6:
            return _age((words.millennium,), (number + 999) // 1000, year, words)
        case 4 | 5 if rounded := _rounded(number, _THOUSANDS[precision]):
            return (_year(-rounded if year < 0 else rounded, words.year, words),)
        case 0 if year < 0 and (billions := _rounded(number, 10**9) // 10**9):
            return (words.billion.replace("{c}", str(billions)),)
        case 1 | 2 | 3 if year < 0 and (rounded := _rounded(number, _MILLIONS[precision])):
            return tuple(words.million.replace("{c}", n) for n in _grouped(rounded // 10**6, words))
    return (_year(year, words.year, words),)


def _rounded(number: int, step: int) -> int:
    """The nearest multiple of a step; in the middle between two, the larger one."""
    return (number + step // 2) // step * step


def _grouped(number: int, words: DateWords) -> tuple[str, ...]:
    grouped = f"{number:,}".replace(",", words.thousands)
    return tuple(dict.fromkeys((str(number), grouped if "{c} " in words.million else str(number))))


def _age(patterns: Sequence[str], number: int, year: int, words: DateWords) -> tuple[str, ...]:
    """A decade, a century or a millennium, in each of its ways."""
    ordinals = [_ordinal(number), *_SPELLED[number : number + 1]]
    written = []
    for pattern in patterns:
        first = pattern.replace("{r}e ", "Ier ") if number == 1 else pattern  # the first, in French
        plain = first.replace("{c}", str(number)).replace("{r}", _roman(number))
        written += [plain.replace("{o}", ordinal) for ordinal in ordinals]
    eras = (words.before, *words.before_too) if year < 0 else ("{}",)
    return tuple(dict.fromkeys(era.replace("{}", age) for era in eras for age in written))


def _year(year: int, pattern: str, words: DateWords) -> str:
    """A pattern with its year, which has its era before our era and where it would be a mere number without it.

    The era stands behind the whole of the pattern, or before the number of the year.
    """
    early = 0 < year < 100 and words.after.replace("{}", "").strip() not in pattern
    era = words.before if year < 0 else words.after if early else "{}"
    if era.startswith("{}"):
        return era.replace("{}", pattern.replace("{y}", str(abs(year))))
    return pattern.replace("{y}", era.replace("{}", str(abs(year))))


def _put(pattern: str, words: DateWords, year: int, month: int, day: int) -> str:
    name = words.names(alone=not day)[month - 1]
    for place, written in (("{d}", str(day)), ("{m}", name), ("{n}", str(month))):
        pattern = pattern.replace(place, written)
    return _year(year, pattern, words)


def _ordinal(number: int) -> str:
    ending = "th" if 10 <= number % 100 <= 20 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


def _roman(number: int) -> str:
    written = ""
    for value, letters in ((100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"), (9, "IX"), (5, "V"), (4, "IV")):
        written += letters * (number // value)
        number %= value
    return written + "I" * number


@cache
def month_words() -> frozenset[str]:
    """The first words of all languages' months, in small letters: behind "20." they don't begin a sentence."""
    months = (name for words in date_words().values() for alone in (False, True) for name in words.names(alone=alone))
    return frozenset(name.casefold().split()[0] for name in months)


class Parts(NamedTuple):
    """A date that was read: a month or a day of 0 is not said."""

    year: int
    month: int
    day: int
    start: int
    end: int


def read_date(text: str, language: str, *, whole: bool = False) -> Parts | None:
    """Read the first date that ``text`` holds in the words of a language.

    Args:
        language: A key of ``date_words``.
        whole: Nothing but the date may stand there, written exactly as ``time_names`` writes it.
    """
    best: Parts | None = None
    for pattern, months in _readers(language):
        match = pattern.fullmatch(text) if whole else pattern.search(text)
        if match is None or (best is not None and (match.start(), -match.end()) >= (best.start, -best.end)):
            continue
        found = match.groupdict()
        year = int(found["y"]) * (-1 if found.get("before") or found.get("behind") else 1)
        name = found.get("m")
        month = months[name.lower()] if name else int(found.get("n") or 0)
        day = int(found.get("d") or 0)
        if month <= 12 and day <= 31:
            best = Parts(year, month, day, match.start(), match.end())
    return best


@cache
def _readers(language: str) -> list[tuple[re.Pattern[str], dict[str, int]]]:
    """Patterns for days, months and years, in this order, each with the numbers of its months' names."""
    words = date_words()[language]
    months = {n.lower(): i for alone in (True, False) for i, n in enumerate(words.names(alone=alone), 1)}
    years = dict.fromkeys((words.year, *words.year_too, "{y}"))
    patterns = [p for p in words.day if "{d}" in p] + list(words.month) + list(years)
    return [(_reader(pattern, words, months), months) for pattern in patterns]


def _reader(pattern: str, words: DateWords, months: Mapping[str, int]) -> re.Pattern[str]:
    eras = (words.before, *words.before_too)
    prefix, suffix = (_either(era.split("{}")[at] for era in eras) for at in (0, 1))
    early, late = (_either([words.after.split("{}")[at]]) for at in (0, 1))
    year = rf"(?:(?P<before>{prefix})|{early})?(?P<y>\d{{1,4}})(?!\d)"
    places = {
        "d": r"(?<!\d)(?P<d>\d{1,2})(?:er|º)?",
        "n": r"(?P<n>\d{1,2})",
        "m": "(?P<m>" + "|".join(sorted(map(re.escape, months), key=len, reverse=True)) + ")",
        "y": year,
    }
    built = "".join(places[part[1]] if part.startswith("{") else _loose(part) for part in re.split(r"({\w})", pattern))
    end = rf"(?:\s?(?:(?P<behind>{suffix})|{late}))?"
    return re.compile(rf"(?<!\d)(?<!\d[.,-]){built}{end}", re.IGNORECASE)


def _either(texts: Iterable[str]) -> str:
    """A pattern for one of several texts, the longest first; one that never fits where all are empty.

    Their dots may be missing: the last one of an answer is taken for its end.
    """
    found = sorted({text.lstrip() for text in texts if text.strip()}, key=len, reverse=True)
    patterns = [
        _loose(text).replace(r"\.", r"\.?") + (r"(?!\w)" if "." in text and text[-1] != " " else "") for text in found
    ]
    return "(?:" + "|".join(patterns) + ")" if patterns else "(?!)"


def _loose(text: str) -> str:
    """A literal piece of a pattern, with any kind and number of blanks where it has one, or none after a dot."""
    return re.sub(r"(?:\\ )+", r"\\s*", re.escape(text))
