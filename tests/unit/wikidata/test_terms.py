"""RDF terms as identifiers, numbers and times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbsync.domain.errors import DataError
from kbsync.wikidata.answers import Term
from kbsync.wikidata.queries import STATEMENT
from kbsync.wikidata.terms import (
    canonical_number,
    integer,
    is_unknown,
    iso_time,
    item_of,
    local_name,
    moment,
    shown_time,
)
from tests.support.result_rows import item, uri


def text(value: str) -> Term:
    return Term("literal", value)


def test_a_name_is_what_follows_its_namespace() -> None:
    assert local_name(item("Q64")) == "Q64"
    assert local_name(uri(f"{STATEMENT}q64-A"), STATEMENT) == "q64-A"
    with pytest.raises(DataError, match="is not in"):
        local_name(uri("http://example.org/Q64"))


def test_only_items_are_items() -> None:
    assert item_of(item("Q64")) == "Q64"
    for other in (item("P31"), item("L1"), uri("http://example.org/Q64"), text("Q64"), Term("bnode", "Q64")):
        assert item_of(other) is None


def test_a_blank_node_and_an_iri_in_its_place_are_unknown() -> None:
    assert is_unknown(Term("bnode", "b0")) and is_unknown(uri("http://www.wikidata.org/.well-known/genid/abc"))
    for iri in ("nodeID://b10005", "_:b7", "bnode:17", "urn:skolem:9"):
        assert is_unknown(uri(iri)) and not is_unknown(text(iri))
    assert not is_unknown(item("Q64")) and not is_unknown(text("/.well-known/genid/abc"))
    assert not is_unknown(uri("https://example.org/_:b7"))


def test_numbers_and_dates_that_are_none_are_refused() -> None:
    assert integer(text("-7")) == -7 and integer(text("11.0")) == 11
    assert moment(text("2026-03-01T12:00:00Z")) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert moment(text("2026-03-01T12:00:00")) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    assert moment(text("2026-03-01T12:00:00+01:00")).tzinfo == timezone(timedelta(hours=1))
    with pytest.raises(DataError, match="whole number"):
        integer(text("7.5"))
    with pytest.raises(DataError, match="date and time"):
        moment(text("yesterday"))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1969-07-20T00:00:00Z", "1969-07-20T00:00:00Z"),
        ("+1969-07-20T00:00:00Z", "1969-07-20T00:00:00Z"),
        ("-0044-03-15T00:00:00Z", "-0044-03-15T00:00:00Z"),
        ("-13798000000-01-01T00:00:00Z", "-13798000000-01-01T00:00:00Z"),
        ("1969-07-20T00:00:00.000+00:00", "1969-07-20T00:00:00Z"),
        ("1969-07-20", "1969-07-20T00:00:00Z"),  # xsd:date, as some engines write midnight
        ("1969-07-20T00:00:00+01:00", None),
    ],
)
def test_a_time_of_history_has_one_form(written: str, expected: str | None) -> None:
    assert iso_time(written) == expected


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4), st.integers(0, 5))
def test_a_number_has_one_form_however_it_is_written(number: object, zeros: int) -> None:
    written = f"{number:f}" + "0" * zeros
    canonical = canonical_number(written)
    assert canonical[0] in "+-" and float(canonical) == float(written)
    assert canonical == canonical_number(f"+{written}" if not written.startswith("-") else written)
    assert "." not in canonical or canonical[-1] not in "0."


GREGORIAN, JULIAN = "http://www.wikidata.org/entity/Q1985727", "http://www.wikidata.org/entity/Q1985786"


@pytest.mark.parametrize(
    ("rdf", "precision", "calendar", "shown"),
    [
        # Years before our era, counted from 1 BC by people and from 0000 by XSD 1.1.
        ("0001-01-01T00:00:00Z", 9, JULIAN, "0001-01-01T00:00:00Z"),
        ("0000-01-01T00:00:00Z", 9, JULIAN, "-0001-01-01T00:00:00Z"),
        ("-0099-01-01T00:00:00Z", 9, GREGORIAN, "-0100-01-01T00:00:00Z"),
        ("-13797999999-01-01T00:00:00Z", 3, GREGORIAN, "-13798000000-01-01T00:00:00Z"),
        # Days of the Julian calendar: Alaska's, Caesar's death, the October revolution, a leap day that one has alone.
        ("1492-10-21T00:00:00Z", 11, JULIAN, "1492-10-12T00:00:00Z"),
        ("-0043-03-13T00:00:00Z", 11, JULIAN, "-0044-03-15T00:00:00Z"),
        ("1917-11-07T00:00:00Z", 11, JULIAN, "1917-10-25T00:00:00Z"),
        ("1700-03-11T00:00:00Z", 11, JULIAN, "1700-02-29T00:00:00Z"),
        ("0200-03-01T00:00:00Z", 11, JULIAN, "0200-03-01T00:00:00Z"),
        # What is coarser than a day was never turned.
        ("1492-10-01T00:00:00Z", 10, JULIAN, "1492-10-01T00:00:00Z"),
        ("1492-10-21T00:00:00Z", 11, GREGORIAN, "1492-10-21T00:00:00Z"),
        ("1492-10-21T00:00:00Z", 11, "", "1492-10-21T00:00:00Z"),
        ("1492-10-21T00:00:00Z", 11, "https://www.wikidata.org/entity/Q1985786", "1492-10-12T00:00:00Z"),
    ],
)
def test_a_time_is_as_its_page_shows_it(rdf: str, precision: int, calendar: str, shown: str) -> None:
    assert shown_time(rdf, precision, calendar) == shown


@pytest.mark.slow
def test_each_day_has_its_own_julian_date_and_they_follow_each_other() -> None:
    day, dates = date(1, 1, 1), []
    while day < date(401, 1, 1):
        dates.append(shown_time(f"{day.isoformat()}T00:00:00Z", 11, JULIAN)[:-10])
        day += timedelta(days=1)
    assert len(set(dates)) == len(dates) == 146_097
    assert dates[:4] == ["0001-01-03", "0001-01-04", "0001-01-05", "0001-01-06"]
    leap = [found for found in dates if found.endswith("-02-29")]
    assert leap == [f"{year:04d}-02-29" for year in range(4, 401, 4)]


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("-043-03-13T00:00:00Z", "-0043-03-13T00:00:00Z"),  # QLever
        ("44-03-13T00:00:00Z", "0044-03-13T00:00:00Z"),
        ("+1969-07-20T00:00:00Z", "1969-07-20T00:00:00Z"),
        ("1969-07-20", "1969-07-20T00:00:00Z"),
        ("-13797999999-01-01T00:00:00.000Z", "-13797999999-01-01T00:00:00Z"),
        ("1969-07-20T00:00:00+02:00", None),
        ("yesterday", None),
    ],
)
def test_engines_write_times_in_several_ways(text: str, iso: str | None) -> None:
    assert iso_time(text) == iso


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("8848.860000000001", "+8848.86"),
        ("0.30000000000000004", "+0.3"),
        ("1409517397.0", "+1409517397"),
        ("1.409517397E9", "+1409517397"),
        ("-0.0", "+0"),
        ("3.14159265358979323846", "+3.14159265358979323846"),  # as exact as it was entered
        ("123456789012345678901", "+123456789012345678901"),
        ("5972000000000000327155712.0", "+5972000000000000000000000"),  # QLever
        ("5972000000000000327155712", "+5972000000000000327155712"),
        ("NaN", None),
        ("INF", None),
        ("1E999999999", None),
    ],
)
def test_a_number_is_the_same_from_every_engine(text: str, number: str | None) -> None:
    assert canonical_number(text) == number
