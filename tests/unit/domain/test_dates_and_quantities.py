"""Dates and quantities: found in a text, and compared."""

from __future__ import annotations

from decimal import Decimal

import pytest

from kbsync.domain.dates_and_quantities import Date, date_named, find_date, find_quantity, quantity_named


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("on 20 July 1969, when", Date(1969, 7, 20)),
        ("July 20th, 1969", Date(1969, 7, 20)),
        ("1969-07-20", Date(1969, 7, 20)),
        ("in May 1900 or June 1901", Date(1900, 5)),
        ("Sept. 1900", None),
        ("the 1960s", Date(1960, decade=True)),
        ("in 44 BC", Date(-44)),
        ("in 44 B.C.E.", Date(-44)),
        ("1,969 people", None),
    ],
)
def test_the_first_date(text: str, date: Date | None) -> None:
    found = find_date(text)
    if date is None:
        assert found is None or found[0].month == 0
    else:
        assert found is not None
        assert found[0] == date


def test_names_that_are_dates() -> None:
    assert date_named("4 July 1776") == Date(1776, 7, 4)
    assert date_named("1776") == Date(1776)
    assert date_named("347 BC") == Date(-347)
    assert date_named("1,776") is None
    assert date_named("Apollo 11") is None


@pytest.mark.parametrize(
    ("text", "number", "kind", "size"),
    [
        ("about 3,776 m high", "3776", "length", "1"),
        ("12 sq mi", "12", "area", str(Decimal("1609.344") ** 2)),
        ("5 km²", "5", "area", "1000000"),
        ("84.1 years", "84.1", "time", "1"),
        ("8.3 million people", "8300000", "", "1"),
        ("seven", "7", "", "1"),
    ],
)
def test_the_first_quantity(text: str, number: str, kind: str, size: str) -> None:
    found = find_quantity(text)
    assert found is not None
    quantity = found[0]
    assert (quantity.number, quantity.kind, quantity.size) == (Decimal(number), kind, Decimal(size))


def test_a_number_agrees_within_its_digits() -> None:
    right = quantity_named("357022 square kilometre")
    assert right is not None

    def says(text: str, *, over: bool = False) -> bool:
        found = find_quantity(text)
        assert found is not None
        return found[0].agrees(right, over=over)

    assert says("357,000 km²")
    assert says("360,000 km²")
    assert not says("400,000 km²")
    assert not says("357,021 km²")
    assert says("350,000 km²", over=True)
    assert says("137,847 square miles")
    assert not says("357,022 km"), "a length is no area"
    assert says("35,702,200 hectares")


def test_names_that_are_quantities() -> None:
    assert quantity_named("8,848.86 metre") is not None
    assert quantity_named("+33") is None
    assert quantity_named("Boeing 777") is None
    assert quantity_named("2001: A Space Odyssey") is None
