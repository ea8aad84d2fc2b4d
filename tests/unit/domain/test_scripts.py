"""Writing systems: which marks tell names apart, and which words touch."""

from __future__ import annotations

import pytest

from kbsync.domain.scripts import CLUSTER, MARK, bare, may_follow, may_precede, outline, plain, touches


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("São Tomé", "Sao Tome"),
        ("Ὀδυσσεύς", "ΟΔΥΣΣΕΥΣ"),
        ("פָּרִיז", "פריז"),  # vowel points
        ("بَارِيس", "باريس"),
        ("ｶﾞ", "ガ"),  # half width
        ("می\u200cخواهم", "میخواهم"),
        ("C♯", "c#"),
    ],
)
def test_accents_vowel_points_and_width_are_no_difference(one: str, other: str) -> None:
    assert plain(one) == plain(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("रोम", "राम"), ("パリ", "バリ"), ("ハリ", "パリ"), ("เสือ", "เสื่อ"), ("சென்னை", "சென்னே"), ("C++", "C#")],
)
def test_marks_and_signs_that_tell_names_apart_stay(one: str, other: str) -> None:
    assert plain(one) != plain(other)


def test_an_outline_has_one_character_for_each() -> None:
    assert outline("Zoë") == "Zoë"
    assert outline("रोम") == "रaम"
    assert outline("パリ city") == CLUSTER * 2 + " city"
    assert outline("ก่อ") == CLUSTER + MARK + CLUSTER
    assert touches("巴") and touches("ป") and not touches("파") and not touches("a")


@pytest.mark.parametrize(
    ("before", "name", "after", "alone"),
    [
        ("", "パリ", "です", True),
        ("首都は", "パリ", "である", True),
        ("", "パリ", "ス", False),
        ("東", "京都", "", False),
        ("", "東京", "都です", True),
        ("", "東京", "大学", False),
        ("是", "巴黎", "市", True),
        ("不是", "巴黎", "", False),
        ("", "巴黎", "圣母院", False),
        ("กรุง", "ปารีส", "ครับ", True),
    ],
)
def test_what_may_touch_a_name(before: str, name: str, after: str, *, alone: bool) -> None:
    before, name, after = plain(before), plain(name), plain(after)
    assert (may_follow(before, name) and may_precede(after)) is alone


@pytest.mark.parametrize(
    ("word", "name", "found"),
    [
        ("파리입니다", "파리", True),
        ("서울은", "서울", True),
        ("파리의", "파리", False),  # "of Paris"
        ("파리스", "파리", False),
        ("Ankara'dır", "Ankara", True),
        ("Ankara'nın", "Ankara", False),
        ("l'Italie", "Italie", True),
        ("D'Angelo", "Angelo", False),
    ],
)
def test_what_languages_attach_to_a_name(word: str, name: str, *, found: bool) -> None:
    assert bool(bare(word, plain(name))) is found
