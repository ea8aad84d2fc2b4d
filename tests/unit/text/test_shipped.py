from __future__ import annotations

from kbsync.text.shipped import held_out


def test_held_out_is_whole_paragraphs_of_prose() -> None:
    paragraphs = held_out()
    assert len(paragraphs) == len(set(paragraphs)) >= 40
    assert sum(len(p.split()) for p in paragraphs) > 3000
    for paragraph in paragraphs:
        assert paragraph == paragraph.strip()
        assert "\n" not in paragraph
        assert paragraph.endswith(".")
        assert len(paragraph.split()) > 50
