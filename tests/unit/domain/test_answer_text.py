"""The first sentence of an answer, its words, and which spellings are one."""

from __future__ import annotations

import pytest

from kbsync.domain.answer_text import LONGEST_ANSWER, alike, first_clause, fold, without_initials, words


@pytest.mark.parametrize(
    ("continuation", "answer", "whole"),
    [
        (" Paris. It is", "Paris", True),
        (" Paris", "Paris", False),
        (" Paris\nQ: And", "Paris", True),
        ("\n\n  Paris\n", "Paris", True),
        (" J. R. R. Tolkien. He", "J. R. R. Tolkien", True),
        (" Apple Inc. It is", "Apple Inc", True),
        (" Apple Inc. of California", "Apple Inc. of California", False),
        (" Oxford United F.C. plays football.", "Oxford United F.C. plays football", True),
        (" St. Louis", "St. Louis", False),
        (" 3.14 m", "3.14 m", False),
        (" <b>Bern</b><br>the city", "Bern", True),
        ("**Bern**", "Bern", False),
        (" Bern<|im_end|>more", "Bern", True),
        ("The answer is:\nBern", "The answer is: Bern", False),
        ("____\nBern", "Bern", False),
        ("...", "", False),
    ],
)
def test_the_answer_is_the_first_sentence_of_the_first_line_that_says_something(
    continuation: str, answer: str, whole: bool
) -> None:
    clause = first_clause(continuation)
    assert (clause.text, clause.whole) == (answer, whole)


def test_questions_and_choices_are_told_apart() -> None:
    assert first_clause("Is it Paris? No.").question
    assert first_clause("A. Paris\nB. Lyon").choices
    assert not first_clause("1. It is hydrogen.").choices


def test_only_the_beginning_is_read() -> None:
    assert len(first_clause("word " * 10_000).text) <= LONGEST_ANSWER


def test_words_keep_their_order_and_their_blanks() -> None:
    made = words("Guinea-Bissau & Ze'ev's €")
    assert [w.text for w in made] == ["Guinea", "-", "Bissau", "&", "Ze'ev's", "€"]
    assert [w.fold for w in made] == ["guinea", "", "bissau", "and", "zeev", "€"]
    assert [w.spaced for w in made] == [True, False, False, True, True, True]
    assert made[4].possessive


@pytest.mark.parametrize(
    ("word", "folded"),
    [
        ("Łódź", "lodz"),
        ("Straße", "strasse"),
        ("Путин", "putin"),
        ("Italy's", "italy"),
        ("Saint", "st"),
        ("Þór", "thor"),
    ],
)
def test_folding(word: str, folded: str) -> None:
    assert fold(word) == folded


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("zelenskiy", "zelenskyy", True),
        ("dostoevsky", "dostoyevsky", True),
        ("mohamed", "mohammed", True),
        ("romanian", "romania", False),
        ("austria", "australia", False),
        ("wikipedia", "wikimedia", False),
        ("iran", "iraq", False),
        ("1234567", "1234568", False),
    ],
)
def test_spellings_of_one_name(one: str, other: str, same: bool) -> None:
    assert alike(one, other) is same
    assert alike(other, one) is same


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ("the World Health Organization (WHO) of Geneva", "the World Health Organization of Geneva"),
        ("the Bank (B) of Bern", "the Bank ( B ) of Bern"),
        ("the bank of bern (bb)", "the bank of bern ( bb )"),
        ("United Nations Organization (NU)", "United Nations Organization ( NU )"),
        ("Organization (ON)", "Organization ( ON )"),
        ("Red Cross (RC) and Red Cross (RC) again", "Red Cross and Red Cross again"),
        ("Red Cross (RC) (RC) (CR)", "Red Cross ( CR )"),
        ("World Wide Web 3 (WWW3)", "World Wide Web 3"),
    ],
)
def test_initials_behind_what_they_stand_for_are_left_out(said: str, left: str) -> None:
    assert " ".join(word.text for word in without_initials(words(said), ())) == left


def test_initials_that_are_the_name_stay_and_their_words_go() -> None:
    kept = without_initials(words("by the World Health Organization (WHO)."), ("WHO",))
    assert " ".join(word.text for word in kept) == "by the WHO ."
