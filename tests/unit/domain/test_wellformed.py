"""Which text may enter: no half characters, no NUL, no names that nobody could see."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kbsync.domain.statement import ItemHead, ItemId, Labels, Value, ValueKind
from kbsync.domain.wellformed import flaw, head_flaw, name_flaw, tidy, value_flaw, without_flaws


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("Rome", ""),
        ("पटना", ""),
        ("👩‍🚀 Zoë", ""),  # joined by U+200D
        ("می‌خواهم", ""),
        ("two\nlines", ""),
        ("", ""),
        ("Rome \ud83d", "half a character (U+D83D)"),
        ("\udc00", "half a character (U+DC00)"),
        ("Ro\0me", "NUL (U+0000)"),
    ],
)
def test_what_no_encoding_or_database_can_hold(text: str, says: str) -> None:
    assert flaw(text) == says


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("!!!", ""),
        ("\u200eRome", ""),  # a mark of direction that somebody pasted
        ("Rome\ud83d", "half a character (U+D83D)"),
        ("two\nlines", "a control character (U+000A)"),
        ("two\u2028lines", "a control character (U+2028)"),
        ("Rome\u2029", "a control character (U+2029)"),
        ("\x1b[31mRome", "a control character (U+001B)"),
        ("", "nothing but blanks"),
        (" \u3000", "nothing but blanks"),
        ("\u200e", "nothing but blanks"),
    ],
)
def test_what_is_no_name(text: str, says: str) -> None:
    assert name_flaw(text) == says


@pytest.mark.parametrize(
    "value",
    [
        Value(ValueKind.TIME, "1969-07-20T00:00:00Z", "11"),
        Value(ValueKind.TIME, "-0500-00-00T00:00:00Z", "9"),
        Value(ValueKind.QUANTITY, "-8848.86", "Q11573"),
        Value(ValueKind.QUANTITY, "+0"),
        Value(ValueKind.ITEM, "Q5"),
        Value(ValueKind.STRING, ""),
        Value(ValueKind.OTHER, "http://example.org/"),
    ],
)
def test_values_of_wikidata_have_no_flaw(value: Value) -> None:
    assert value_flaw(value) == ""


@pytest.mark.parametrize(
    "value",
    [
        Value(ValueKind.TIME, "2020-13-01T00:00:00Z", "11"),
        Value(ValueKind.TIME, "2020-12-32T00:00:00Z", "11"),
        Value(ValueKind.TIME, "2020-12-01T00:00:00Z", "15"),
        Value(ValueKind.TIME, "2020-12-01T00:00:00Z", "-5"),
        Value(ValueKind.QUANTITY, "+NaN"),
        Value(ValueKind.QUANTITY, "5"),
        Value(ValueKind.QUANTITY, "+1e9"),
        Value(ValueKind.QUANTITY, "+5", "metre"),
        Value(ValueKind.ITEM, "P5"),
        Value(ValueKind.STRING, "\ud83d"),
        Value(ValueKind.MONOLINGUAL, "x", "\0"),
    ],
)
def test_what_no_value_of_wikidata_is(value: Value) -> None:
    assert value_flaw(value)


def test_revisions_and_dates_beyond_what_can_be() -> None:
    good = ItemHead(id=ItemId("Q1"), revision=2**63 - 1, modified=datetime(2026, 1, 1, tzinfo=UTC))
    assert head_flaw(good) == ""
    assert "revision" in head_flaw(replace(good, revision=2**63))
    assert "revision" in head_flaw(replace(good, revision=-1))
    assert "year 1" in head_flaw(replace(good, modified=datetime(1, 1, 1, tzinfo=UTC)))


def test_names_that_can_not_be_names_are_left_out() -> None:
    labels = Labels(item=ItemId("Q1"), label="I\ud800", aliases=("a\0", "fine"))
    assert without_flaws(labels) == Labels(item=ItemId("Q1"), label=None, aliases=("fine",))
    assert without_flaws(Labels(item=ItemId("Q1"), label=None)) == Labels(item=ItemId("Q1"), label=None)


@pytest.mark.parametrize(
    ("name", "tidied"),
    [
        ("Rome", "Rome"),
        (" Rome ", "Rome"),
        ("\ufeffRome\u200f", "Rome"),
        ("\u202eemoR\u202c", "emoR"),
        ("\u3000東京\u00a0", "東京"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("\u1112\u1161\u11ab", "\ud55c"),  # letters of a Korean syllable
        ("Donau\u00addampf", "Donaudampf"),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\U0001f469\u200d\U0001f680", "\U0001f469\u200d\U0001f680"),
        ("New\u00a0York", "New\u00a0York"),
    ],
)
def test_what_nobody_sees_is_no_part_of_a_name(name: str, tidied: str) -> None:
    assert tidy(name) == tidied
    named = without_flaws(Labels(item=ItemId("Q1"), label=name, aliases=(tidied, name)))
    assert named == Labels(item=ItemId("Q1"), label=tidied)


def test_a_name_of_unseen_characters_is_none() -> None:
    named = without_flaws(Labels(item=ItemId("Q1"), label="\u200b\u2060", aliases=("\ufeff", "b ", " a")))
    assert named == Labels(item=ItemId("Q1"), label=None, aliases=("a", "b"))
