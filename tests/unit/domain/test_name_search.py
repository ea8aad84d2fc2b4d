"""Where names stand in an answer, and in which spellings."""

from __future__ import annotations

import pytest

from kbsync.domain.answer_text import words
from kbsync.domain.answer_words import Setting
from kbsync.domain.name_search import cut_off, search

NO_PROMPT = Setting()


def found(text: str, *right: str, former: tuple[str, ...] = (), prompt: str = "") -> list[str]:
    return [hit.name for hit in search(words(text), right, former, Setting.of(prompt))]


def test_names_are_found_in_their_order_and_the_longest_wins() -> None:
    assert found("Bonn, then New York City", "New York", "New York City", former=("Bonn",)) == ["Bonn", "New York City"]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("the Ford Motor Company", "Ford"),
        ("Ford", "Ford Motor Company"),
        ("the Rhine", "Rhine River"),
        ("George Bush", "George W. Bush"),
        ("Berry Gordy Jr. and", "Berry Gordy"),
        ("Missoula", "Missoula, Montana"),
        ("Georgia", "Georgia (country)"),
        ("the ECB", "European Central Bank"),
        ("He", "He"),
        ("Danish kroner", "Danish krone"),
        ("a pianist", "piano"),
        ("a boxer", "boxing"),
        ("0033", "+33"),
        ("Miguel de Cervantes Saavedra", "Miguel de Cervantes"),
    ],
)
def test_a_name_is_found_in_another_usual_spelling(text: str, name: str) -> None:
    assert found(text, name) == [name]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Mexico", "Mexico City"),
        ("Sydney", "Sydney Airport"),
        ("he", "He"),
        ("the Bundesliga der Auswahl", "Bundesliga"),
        ("Czech Republic", "Czech Social Democratic Party"),
        ("East Timor", "Timor"),
        ("Prince Albert of Monaco", "Prince Albert"),
    ],
)
def test_a_piece_of_a_name_or_of_another_one_is_not_found(text: str, name: str) -> None:
    assert found(text, name) == []


def test_a_surname_stands_for_a_person_only_where_one_is_asked_for() -> None:
    assert found("Nabokov", "Vladimir Nabokov", prompt="Who wrote Lolita?") == ["Vladimir Nabokov"]
    assert found("Nabokov", "Vladimir Nabokov", prompt="Lolita was written by") == ["Vladimir Nabokov"]
    assert found("York", "New York", prompt="The largest city is") == []


def test_what_the_prompt_asks_about_is_no_answer() -> None:
    assert found("Canadian Rockies", "Rockies", prompt="The Canadian Rockies are part of the") == []
    assert found("Airbus A380", "Airbus", prompt="Airbus A380 is made by") == []
    assert found("Honda was founded in 1956", "Soichiro Honda", prompt="Who founded Honda?") == []


def test_a_cut_off_name() -> None:
    hit = cut_off(words("the writer Vladimir Nab"), ["Vladimir Nabokov"], [])
    assert hit is not None
    assert (hit.name, hit.start) == ("Vladimir Nabokov", 2)
    assert cut_off(words("Vlad"), ["Vladimir Nabokov"], []) is not None
    assert cut_off(words("Vla"), ["Vladimir Nabokov"], []) is None
    assert cut_off(words("Vladimir P"), ["Vladimir Putin"], ["Vladimir Petrov"]) is None
    assert cut_off(words("Paris"), ["Paris"], []) is None, "a whole name is not cut off"
