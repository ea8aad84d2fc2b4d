"""What in front of a name or behind it takes the name back."""

from __future__ import annotations

import pytest

from kbsync.domain.answer_text import words
from kbsync.domain.answer_words import Setting, taken_back_after, taken_back_before


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
        ("a country in", "Which country is it?", "describes"),
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
    assert bool(taken_back_after(words(f"Name {after}"), 0, 1)) is taken


def test_a_sentence_about_something_of_the_name_does_not_assert_it() -> None:
    assert taken_back_after(words("The capital of Name is Lyon"), 3, 4)
    assert not taken_back_after(words("The city of Name is the capital"), 3, 4)


def test_a_prompt_tells_whether_a_person_or_a_place_is_asked_for() -> None:
    assert Setting.of("Who wrote it?").who
    assert not Setting.of("A man whose name is").who
    assert Setting.of("She was born in").place
    assert Setting.of("The book was written by").last == "by"
    assert Setting.of("The Canadian Rockies are").holds(["canadian", "rockies"])
