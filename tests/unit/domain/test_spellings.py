"""In which words a name may be said."""

from __future__ import annotations

import pytest

from kbsync.domain.spellings import spellings_of


def said(name: str) -> set[str]:
    return {" ".join(one.folds) for one in spellings_of([name], right=True)}


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("The Beatles", {"the beatles", "beatles"}),
        ("Apple Inc.", {"apple inc", "apple"}),
        ("Mississippi River", {"mississippi river"}),
        ("John F. Kennedy", {"john f kennedy", "john kennedy", "kennedy"}),
        ("Mercury (planet)", {"mercury planet", "mercury"}),
        ("Antarctic", {"antarctic", "antarctica"}),
        ("boxing", {"boxing", "boxer", "boxist"}),
    ],
)
def test_a_name_is_said_in_these_ways_among_others(name: str, ways: set[str]) -> None:
    assert ways <= said(name)


def test_a_town_is_not_said_without_its_last_word() -> None:
    assert "mexico" not in said("Mexico City")


def test_a_name_of_few_letters_is_compared_as_it_is_written() -> None:
    (own, *_) = spellings_of(["US"], right=True)
    assert own.raw == "US"
    assert {one.raw for one in spellings_of(["ARM Holdings"], right=False) if one.folds == ("arm",)} == {"ARM"}


def test_a_surname_is_one_only_of_a_longer_name_and_no_generic_word() -> None:
    surnames = {one.folds for one in spellings_of(["Angela Merkel", "Volga River", "Plato"], right=True) if one.surname}
    assert surnames == {("merkel",)}


def test_of_a_name_without_letters_nothing_is_said() -> None:
    assert not list(spellings_of(["!!!", " "], right=True))
