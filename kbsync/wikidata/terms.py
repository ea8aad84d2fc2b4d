"""Turns RDF terms of a result into identifiers, numbers and times. Raises ``DataError`` for invalid ones."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from kbsync.domain.errors import BadIdentifier, DataError
from kbsync.domain.statement import ItemId, item_id
from kbsync.wikidata.answers import Term
from kbsync.wikidata.queries import ENTITY

_TIME = re.compile(
    r"([+-]?)([0-9]{1,16})-([0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.[0-9]+)?)?(?:Z|[+-]00:00)?\Z"
)
_IN_PLACE_OF_A_NODE = re.compile(r"/\.well-known/genid/|^(nodeID://|_:|bnode:|bnodeid:|urn:(skolem|bnode):)")
"""IRIs that engines write for blank nodes: the form of RDF 1.1 (section 3.5), and Virtuoso's and others' own."""
_JULIAN = "/entity/Q1985786"
_DAY = 11
_LARGEST = 400
"""Largest exponent of a number; Wikibase allows 127 digits."""
_EXACT, _SHORT = 15, 12
"""Decimal digits that a binary number holds exactly, and the most digits of a number that rounding restores."""


def local_name(term: Term, namespace: str = ENTITY) -> str:
    """The part of an IRI after ``namespace``. Raises ``DataError`` for another namespace."""
    if not term.text.startswith(namespace):
        raise DataError(f"{_short(term.text)} is not in {namespace}.")
    return term.text.removeprefix(namespace)


def item_of(term: Term) -> ItemId | None:
    """The item that a term names; None if it names something else."""
    if term.kind != "uri" or not term.text.startswith(ENTITY):
        return None
    try:
        return item_id(term.text.removeprefix(ENTITY))
    except BadIdentifier:
        return None


def is_unknown(term: Term) -> bool:
    """Whether a term is an unknown value: a blank node, or an IRI that replaces one."""
    return term.kind == "bnode" or (term.kind == "uri" and bool(_IN_PLACE_OF_A_NODE.search(term.text)))


def integer(term: Term) -> int:
    """A whole number, also as engines write one that they computed as a decimal: ``11.0``. Raises ``DataError``."""
    whole = re.fullmatch(r"([+-]?[0-9]{1,18})(\.0+)?", term.text)
    if whole is None:
        raise DataError(f"{_short(term.text)} is not a whole number of at most 18 digits.")
    return int(whole[1])


def moment(term: Term) -> datetime:
    """The date of an edit; UTC if it names no time zone. Raises ``DataError``."""
    try:
        at = datetime.fromisoformat(term.text)
    except ValueError:
        raise DataError(f"{_short(term.text)} is not a date and time.") from None
    if not 1990 <= at.year < 9999:
        raise DataError(f"{_short(term.text)} is no date of an edit.")
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def iso_time(text: str) -> str | None:
    """A time of any year as ``1969-07-20T00:00:00Z``, without a plus sign; None if the text is no time.

    The year gets at least four digits; QLever writes early years with fewer (``-043-03-13``).
    """
    time = _TIME.match(text)
    if time is None:
        return None
    return f"{'-' if time[1] == '-' else ''}{int(time[2]):04d}-{time[3]}T{time[4] or '00:00:00'}Z"


def shown_time(iso: str, precision: int, calendar: str) -> str:
    """A time of the RDF as the item's page shows it.

    The RDF counts years astronomically (XSD 1.1: 0000 is 1 BC, -0043 is 44 BC), and converts days of the Julian
    calendar into Gregorian ones, but not months and years. The item's page does neither.

    Args:
        iso: What ``iso_time`` gave.
        precision: Wikidata's; 11 is a day.
        calendar: IRI of the calendar model that the value's page names; empty: not known.

    Returns:
        The same form, with 1 BC as -0001.
    """
    date, _, clock = iso.removeprefix("-").partition("T")
    year, month, day = (int(part) for part in date.split("-"))
    year = -year if iso.startswith("-") else year
    if calendar.endswith(_JULIAN) and precision >= _DAY and month and day:
        year, month, day = _julian(year, month, day)
    counted = year if year > 0 else year - 1
    return f"{'-' if counted < 0 else ''}{abs(counted):04d}-{month:02d}-{day:02d}T{clock}"


def _julian(year: int, month: int, day: int) -> tuple[int, int, int]:
    """The Julian date of a proleptic Gregorian one, both with astronomical years.

    Computed through the Julian day number. Months are counted from March, so that a leap day is the last day of a year.
    4800 years are added, so that numbers are positive from 4800 BC on; before that, Python's division rounds down.
    """
    months = (14 - month) // 12
    y, m = year + 4800 - months, month + 12 * months - 3
    number = day + (153 * m + 2) // 5 + 365 * y + y // 4 - y // 100 + y // 400 - 32045
    c = number + 32082
    d = (4 * c + 3) // 1461
    e = c - 1461 * d // 4
    m = (5 * e + 2) // 153
    return d - 4800 + m // 10, m + 3 - 12 * (m // 10), e - (153 * m + 2) // 5 + 1


def canonical_number(text: str) -> str | None:
    """A decimal number with its sign and without needless zeros; None if the text is no number, or one that is too
    large.

    Engines write the same value as ``8848.860`` or ``+8848.86``. QLever computes with binary numbers and writes
    ``8848.860000000001``, and the Earth's mass as ``5972000000000000327155712.0``: if the text has a decimal point, and
    rounding to fifteen digits gives a short number, the short one is taken.
    """
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    if not number.is_finite() or abs(number.adjusted()) > _LARGEST:
        return None
    short = Decimal(f"{number:.14e}").normalize()
    if "." in text and len(number.as_tuple().digits) > _EXACT and len(short.as_tuple().digits) <= _SHORT:
        number = short
    plain = format(number, "f")
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    if plain in ("-0", "0"):
        return "+0"
    return plain if plain.startswith("-") else f"+{plain}"


def _short(text: str) -> str:
    """A text shortened for a message, in ASCII."""
    return ascii(text if len(text) <= 80 else f"{text[:80]}…")
