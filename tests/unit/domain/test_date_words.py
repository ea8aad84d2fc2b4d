from __future__ import annotations

import pytest

from kbsync.domain.date_words import DateWords, date_words


@pytest.mark.parametrize("language", date_words())
def test_a_language_has_twelve_months_in_a_date_and_alone(language: str) -> None:
    words = date_words()[language]
    assert all(len(words.names(alone=alone)) == 12 for alone in (False, True))


@pytest.mark.parametrize("words", date_words().values(), ids=date_words())
def test_a_pattern_has_a_place_for_each_thing_that_it_says(words: DateWords) -> None:
    assert all("{y}" in pattern for pattern in (*words.day, *words.month, words.year, *words.year_too))
    assert all("{m}" in pattern or "{n}" in pattern for pattern in (*words.day, *words.month))
    assert all("{}" in era for era in (words.before, *words.before_too, words.after))
    ages = (words.decade, words.century, *words.century_too, words.millennium, words.million, words.billion)
    assert all(any(place in age for place in ("{c}", "{r}", "{o}")) for age in ages)


def test_a_blank_within_a_name_of_a_month_is_written_as_one() -> None:
    assert date_words()["ca"].names()[0] == "de gener"
    assert date_words()["ca"].names(alone=True)[0] == "gener"
