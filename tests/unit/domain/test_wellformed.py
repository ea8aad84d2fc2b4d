"""Which text may enter: no half characters, no NUL, no names that nobody could see."""

from __future__ import annotations

import pytest

from kbsync.domain.wellformed import flaw, name_flaw


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
        ("\x1b[31mRome", "a control character (U+001B)"),
        ("", "nothing but blanks"),
        (" \u3000", "nothing but blanks"),
        ("\u200e", "nothing but blanks"),
    ],
)
def test_what_is_no_name(text: str, says: str) -> None:
    assert name_flaw(text) == says
