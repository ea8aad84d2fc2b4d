"""A site's texts: the configured files, the configured data sets, or what is shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from kbsync.config.settings import TextSettings
from kbsync.domain.errors import ConfigError
from kbsync.ports import Work
from kbsync.text import shipped
from kbsync.text.site_texts import corpus, development, held_out


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts"
    path.mkdir()
    (path / "a.txt").write_text("first text", encoding="utf-8")
    (path / "b.txt").write_text("second text", encoding="utf-8")
    return path


def test_the_corpus_is_read_from_the_configured_files(texts: Path, tmp_path: Path) -> None:
    assert corpus(TextSettings(corpus=(texts,)), tmp_path, Work()) == ["first text", "second text"]
    assert corpus(TextSettings(), tmp_path, Work()) == []


def test_a_data_set_whose_name_can_not_be_read_is_a_mistake_of_the_configuration(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"text\.datasets"):
        corpus(TextSettings(datasets=("no name of a data set",)), tmp_path, Work())


def test_held_out_text_is_cut_where_enough_was_read() -> None:
    whole = shipped.held_out()
    assert held_out(TextSettings(held_out_characters=1_000_000)) == whole
    short = held_out(TextSettings(held_out_characters=1000))
    assert sum(map(len, short)) == 1000
    assert short[0] == whole[0][: len(short[0])]


def test_configured_held_out_text_stands_in_for_the_shipped(texts: Path) -> None:
    assert held_out(TextSettings(held_out=(texts / "a.txt",))) == ["first text"]


def test_development_text_begins_where_the_held_out_text_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a" * 900 + "b" * 500, encoding="utf-8")
    (tmp_path / "b.txt").write_text("c" * 3000, encoding="utf-8")
    settings = TextSettings(held_out=(tmp_path / "a.txt", tmp_path / "b.txt"), held_out_characters=1000)
    assert "".join(held_out(settings)) == "a" * 900 + "b" * 100
    assert development(settings) == ["b" * 400, "c" * 600]
    assert development(TextSettings(held_out=(tmp_path / "a.txt",), held_out_characters=1400)) == []
    assert development(TextSettings()) == [], "what is shipped is the gate's"
