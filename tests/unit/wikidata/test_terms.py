"""RDF terms as identifiers, numbers and times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kbsync.domain.errors import DataError
from kbsync.wikidata.answers import Term
from kbsync.wikidata.queries import STATEMENT
from kbsync.wikidata.terms import canonical_number, integer, is_unknown, iso_time, item_of, local_name, moment
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
    assert not is_unknown(item("Q64")) and not is_unknown(text("/.well-known/genid/abc"))


def test_numbers_and_dates_that_are_none_are_refused() -> None:
    assert integer(text("-7")) == -7
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
        ("1969-07-20", None),
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
