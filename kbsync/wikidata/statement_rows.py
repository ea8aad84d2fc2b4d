"""Turns the rows of one statement into a ``Statement``. A value of Wikidata's RDF becomes a ``Value`` like this:

========================================  =====================================================================
the endpoint sends                        kbsync keeps
========================================  =====================================================================
``wd:Q84``                                ``item``, ``Q84``
``"…"^^xsd:dateTime``                     ``time``, ``1969-07-20T00:00:00Z`` (no plus sign), as the item's page shows
                                          it: in the calendar of its value node, and 44 BC as ``-0044``; detail:
                                          precision of the value node, 11 (day) where there is none
``"…"^^xsd:decimal``                      ``quantity``, ``+8849`` (signed, without needless zeros), detail: item id
                                          of the unit, empty for a bare number (unit ``Q199``) or without a value
                                          node
``"…"@fr``                                ``monolingual``, detail: language
``"…"``                                   ``string``; also for external ids, which a result does not distinguish
another IRI or literal                    ``other``, its text (web addresses, files, coordinates, properties)
a blank node or ``…/.well-known/genid/…``  no value: ``somevalue``
no ``ps:`` value, type ``wdno:P…``        no value: ``novalue``
========================================  =====================================================================

Qualifiers keep the form of the RDF (``-0043``, and days of the Gregorian calendar), so that times of both calendars can
be compared. The earliest of several start times counts, and the latest of several end times or points in time. An
unknown *end* time means that the statement has ended (``UNKNOWN_TIME``); an unknown start time is ignored.
"""

from __future__ import annotations

import re

from kbsync.domain.errors import DataError
from kbsync.domain.statement import (
    UNKNOWN_TIME,
    ItemId,
    Rank,
    Snak,
    Statement,
    TimePoint,
    Value,
    ValueKind,
    property_id,
)
from kbsync.domain.wellformed import flaw, value_flaw
from kbsync.wikidata.answers import Row, Term
from kbsync.wikidata.queries import NO_UNIT, ONTOLOGY, STATEMENT, XSD
from kbsync.wikidata.terms import canonical_number, integer, is_unknown, iso_time, item_of, local_name, shown_time

DAY = 11
"""The precision that is assumed for a time without a value node: a day."""

_DATES = (f"{XSD}dateTime", f"{XSD}date")

_NUMBERS = frozenset(
    f"{XSD}{name}" for name in ("decimal", "integer", "int", "long", "double", "float", "nonNegativeInteger")
)
"""Wikibase writes decimals, but engines may return them in the type that they compute with."""

_STATEMENT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9$-]{0,199}\Z")
_RANKS = {
    f"{ONTOLOGY}PreferredRank": Rank.PREFERRED,
    f"{ONTOLOGY}NormalRank": Rank.NORMAL,
    f"{ONTOLOGY}DeprecatedRank": Rank.DEPRECATED,
}


def statement_of(subject: ItemId, iri: str, group: list[Row], references: int) -> tuple[Statement, str]:
    """Read a statement.

    Args:
        iri: The statement's node.
        group: Its rows: one, or several where a qualifier has several values.
        references: The number of its references.

    Returns:
        The statement; and how its rows contradict each other (empty if they don't). In a contradiction, its value is
        unknown.

    Raises:
        DataError: A row holds something that Wikidata can't contain.
    """
    terms = {row["value"] for row in group if "value" in row}
    ranks = {row["rank"].text for row in group}
    if unknown := ranks - _RANKS.keys():
        raise DataError(f"Statement {iri} has the unknown rank {min(unknown)}.")
    problem = _problem(terms, ranks, has_none=any("none" in row for row in group))
    snak, value = Snak.SOMEVALUE, None
    times: dict[str, TimePoint | None] = {}
    try:
        times = {name: _qualifier(group, name) for name in ("start", "end", "point")}
        if not problem and not terms:
            snak = Snak.NOVALUE
        elif not problem and not is_unknown(term := next(iter(terms))):
            snak, value = Snak.VALUE, _value(term, group)
    except DataError as error:
        problem, snak, value = f"something that Wikidata has not: {error.what}", Snak.SOMEVALUE, None
    identifier = local_name(group[0]["st"], STATEMENT).replace("-", "$", 1)
    if not _STATEMENT_ID.match(identifier):
        raise DataError(f"{identifier[:80]!a} is no id of a statement.")
    statement = Statement(
        id=identifier,
        subject=subject,
        property=property_id(local_name(group[0]["property"])),
        snak=snak,
        value=value,
        rank=min(_RANKS[rank] for rank in ranks) if len(ranks) == 1 else Rank.NORMAL,
        start=times.get("start"),
        end=times.get("end"),
        point_in_time=times.get("point"),
        references=references,
    )
    return statement, problem


def _problem(terms: set[Term], ranks: set[str], *, has_none: bool) -> str:
    if len(terms) > 1:
        return f"{len(terms)} values"
    if len(ranks) > 1:
        return f"{len(ranks)} ranks"
    for term in terms:
        if what := flaw(term.text):
            return f"a value that holds {what}"
    return "" if terms or has_none else "neither a value nor the mark of none"


def _value(term: Term, group: list[Row]) -> Value:
    """Raises ``DataError`` if it is no possible value of Wikidata."""
    value = _read(term, group)
    if what := value_flaw(value):
        raise DataError(f"it is {what}.")
    return value


def _read(term: Term, group: list[Row]) -> Value:
    if term.kind == "uri":
        item = item_of(term)
        return Value(ValueKind.ITEM, item) if item else Value(ValueKind.OTHER, term.text)
    if term.language:
        return Value(ValueKind.MONOLINGUAL, term.text, term.language)
    precisions = [_precision(row["precision"]) for row in group if "precision" in row]
    if (time := _time_text(term, known=bool(precisions))) is not None:
        precision = min(precisions, default=DAY)
        calendar = min((row["calendar"].text for row in group if "calendar" in row), default="")
        dated = term.datatype in _DATES
        return Value(ValueKind.TIME, shown_time(time, precision, calendar) if dated else time, str(precision))
    if term.datatype in _NUMBERS and (number := canonical_number(term.text)):
        units = {local_name(row["unit"]) for row in group if "unit" in row} - {local_name(Term("uri", NO_UNIT))}
        return Value(ValueKind.QUANTITY, number, min(units, default=""))
    if term.datatype in ("", f"{XSD}string"):
        return Value(ValueKind.STRING, term.text)
    return Value(ValueKind.OTHER, term.text)


def _time_text(term: Term, *, known: bool) -> str | None:
    """The time that a literal holds; None if it is no time. Raises ``DataError`` for a date in another form.

    Wikibase writes a date that does not exist (30 February) as a plain string, as on the item's page. It differs from
    other strings in having a node with a precision (``known``).
    """
    if term.datatype in _DATES or (known and term.datatype in ("", f"{XSD}string")):
        time = iso_time(term.text)
        if time is None and term.datatype in _DATES:
            raise DataError(f"{ascii(term.text)[:80]} is no time of Wikidata, which has no time zones.")
        return time
    return None


def _qualifier(group: list[Row], name: str) -> TimePoint | None:
    """The time of the qualifier ``name`` (start, end, point), from its value nodes if there are any."""
    nodes = {
        (row[f"{name}Time"].text, _precision(row[f"{name}Precision"]))
        for row in group
        if f"{name}Time" in row and f"{name}Precision" in row
    }
    simple = {(row[name].text, DAY) for row in group if name in row and not is_unknown(row[name])}
    times = [TimePoint(time, precision) for text, precision in nodes or simple if (time := iso_time(text))]
    if times:
        choose = min if name == "start" else max
        return choose(times, key=TimePoint.sort_key)
    is_set = any(name in row for row in group)
    return UNKNOWN_TIME if is_set and name == "end" else None


def _precision(term: Term) -> int:
    """Raises ``DataError`` if it is not from 0 to 14."""
    precision = integer(term)
    if not 0 <= precision <= 14:
        raise DataError(f"{precision} is no precision of a time.")
    return precision
