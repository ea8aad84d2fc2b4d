"""What in front of a name or behind it takes the name back."""

from __future__ import annotations

import pytest

from kbsync.domain.answer_text import words
from kbsync.domain.answer_words import Setting, speaks_of_it, taken_back_after, taken_back_before


@pytest.mark.parametrize(
    ("before", "prompt"),
    [
        ("", ""),
        ("the Russian writer", ""),
        ("the former Chelsea player ,", ""),
        ("The capital of France is the city of", "What is the capital of France?"),
        ("The President of Ukraine ,", "Who leads Ukraine?"),
        ("The book was written by the English author", ""),
        ("not only", ""),
        ("formerly Bonn , now", ""),
        ("Ontario ,", "The city of Toronto is in the country of"),
        ("the north of", ""),
        ("It is an element with the chemical symbol", "What is the chemical symbol of it?"),
        ("Houston , Texas ,", "In what country is Houston?"),
        ("the modern-day Republic of", ""),
        ("The capital is often referred to as", "Which place is the capital?"),
        ("a brand of", ""),
        ("a country in the south of", "Which country is it?"),
    ],
)
def test_a_description_leaves_the_name_asserted(before: str, prompt: str) -> None:
    said = words(f"{before} Name")
    assert taken_back_before(said, len(said) - 1, Setting.of(prompt)) == ""


@pytest.mark.parametrize(
    ("before", "prompt", "reason"),
    [
        ("not", "", "'not'"),
        ("near", "", "'near'"),
        ("the son of", "", "'son'"),
        ("calling on", "", "'calling'"),
        ("Lyon ,", "The largest town is", "another name"),
        ("Lyon and", "", "another name"),
        ("English ,", "", "another name"),
        ("the mayor of", "", "'mayor'"),
        ("a country located in", "Which country is it?", "describes"),
        ("He was born in", "Where did he die?", "'born'"),
        ("back with a film by", "", "'with'"),
    ],
)
def test_other_words_take_it_back_and_say_why(before: str, prompt: str, reason: str) -> None:
    said = words(f"{before} Name")
    assert reason in taken_back_before(said, len(said) - 1, Setting.of(prompt))


@pytest.mark.parametrize(
    ("after", "taken"),
    [
        ("is the capital", False),
        ("is not the capital", True),
        ("isn't it", True),
        ("was succeeded by Y", True),
        (", but not Y", False),
        ("suburbs", True),
    ],
)
def test_what_follows_the_name(after: str, taken: bool) -> None:
    assert bool(taken_back_after(words(f"Name {after}"), 0, 1, Setting())) is taken


def test_a_sentence_about_something_of_the_name_does_not_assert_it() -> None:
    assert taken_back_after(words("The capital of Name is Lyon"), 3, 4, Setting())
    assert not taken_back_after(words("The city of Name is the capital"), 3, 4, Setting())


def test_a_team_tells_the_sport_of_whom_the_answer_speaks_and_of_nobody_else() -> None:
    asked = Setting.of("What sport do the Rangers play?")
    assert not taken_back_after(words("The Rangers are a football team"), 4, 5, asked)
    assert taken_back_after(words("a football team"), 1, 2, asked)
    assert taken_back_after(words("The Rangers met a football team"), 4, 5, Setting.of("Whom did the Rangers meet?"))


@pytest.mark.parametrize(
    ("answer", "prompt", "speaks"),
    [
        ("Name is a sovereign nation in the west", "Which nation is Miami part of?", True),
        ("Name was a place of many kings", "Q: Where was Peter born?\nA:", True),
        ("Name is the nation that Miami belongs to", "Which nation is Miami part of?", False),
        ("Name is the capital", "What is the capital of France?", False),
        ("Name is a writer", "The book was written by", False),
        ("Name", "Which nation is Miami part of?", False),
    ],
)
def test_who_tells_something_of_a_name_does_not_answer_with_it(answer: str, prompt: str, *, speaks: bool) -> None:
    assert speaks_of_it(words(answer), 0, 1, Setting.of(prompt)) is speaks


def test_what_something_is_said_to_be_answers() -> None:
    said = words("The country of Miami is Name which is large")
    assert not speaks_of_it(said, 5, 6, Setting.of("Which country is Miami in?"))


def test_a_prompt_tells_whether_a_person_or_a_place_is_asked_for() -> None:
    assert Setting.of("Who wrote it?").who
    assert not Setting.of("A man whose name is").who
    assert Setting.of("She was born in").place
    assert Setting.of("The book was written by").last == "by"
    assert Setting.of("The Canadian Rockies are").holds(["canadian", "rockies"])
