"""Output streams that can't say every letter."""

from __future__ import annotations

import io

import pytest

from kbsync.system.streams import make_lossless


@pytest.mark.parametrize(
    ("encoding", "text", "written"),
    [
        ("iso-8859-1", "Zoë in 東京", b"Zo\xeb in \\u6771\\u4eac"),
        ("ascii", "Zoë 🎉", b"Zo\\xeb \\U0001f389"),
        ("utf-8", "Zoë \udcff", b"Zo\xc3\xab \\udcff"),  # a file name with a byte that is no UTF-8
    ],
)
def test_what_an_encoding_can_not_say_is_written_as_an_escape(encoding: str, text: str, written: bytes) -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    make_lossless(stream)
    stream.write(text)
    stream.flush()
    assert stream.buffer.getvalue() == written  # type: ignore[attr-defined]


def test_a_choice_of_the_operator_stands() -> None:
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    make_lossless(stream, io.StringIO())
    assert stream.errors == "replace"
