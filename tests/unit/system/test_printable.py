from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kbsync.system.printable import printable

HOSTILE = "\x1b[31mred\x1b[0m \x9b2J [red]x[/red] \u202eevil\u2066 line\nnext\r\x07 \u2028sep"


def test_escapes_everything_that_steers_a_terminal() -> None:
    shown = printable(HOSTILE)
    assert not set(shown) & set("\x1b\x9b\n\r\x07\u202e\u2066\u2028")
    assert "\\x1b[31mred" in shown and "\\u202eevil" in shown and "[red]x[/red]" in shown


def test_leaves_the_scripts_of_the_world_alone() -> None:
    text = "Élisabeth Borne · Владимир · 李明 · کتاب\u200cها · नमस्ते · 👩\u200d🔬"
    assert printable(text) == text


def test_keeps_what_it_is_told_to_keep() -> None:
    assert printable("a\nb\tc", keep="\n") == "a\nb\\tc"


@given(st.text(st.characters(exclude_categories=[])))
def test_the_result_is_printable_and_encodable(text: str) -> None:
    shown = printable(text)
    shown.encode("utf-8")
    assert printable(shown) == shown
