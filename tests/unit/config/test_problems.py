"""Every mistake becomes one line with its place, and what to write instead."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from kbsync.config.problems import describe, dotted, keys_at, read_model, read_toml, suggest
from kbsync.config.section import Section
from tests.support.config_samples import problems


@pytest.mark.parametrize(
    ("text", "says"),
    [("[source", "is not TOML"), ("x = 1\nx = 2", "is not TOML"), (None, "can't be read: No such file")],
)
def test_an_unreadable_file_is_one_mistake(tmp_path: Path, text: str | None, says: str) -> None:
    path = tmp_path / "kbsync.toml"
    if text is not None:
        path.write_text(text)
    (problem,) = problems(path)
    assert problem.startswith(f"{path}: {says}")


def test_text_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kbsync.toml"
    path.write_bytes(b'state_dir = "\xff"')
    assert problems(path) == [f"{path}: is not UTF-8 at byte 13"]


class Part(Section):
    size: int = Field(ge=1)
    names: tuple[str, ...] = Field(("x", "y", "z"), min_length=3)


class Whole(Section):
    part: Part
    parts: tuple[Part, ...] = ()
    database_url: SecretStr = Field(SecretStr("sqlite"), max_length=8)


def mistakes(values: object) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Whole.model_validate(values)
    return describe(caught.value, Whole)


def test_each_mistake_has_its_place_and_a_sentence() -> None:
    assert mistakes({"part": {"size": 0, "sise": 1}, "parts": [{"size": 1}, {}]}) == [
        (("part", "size"), "input should be greater than or equal to 1 (got 0)"),
        (("part", "sise"), "is not a key here; did you mean 'size'?"),
        (("parts", 1, "size"), "is missing"),
    ]


def test_a_list_whose_elements_are_wrong_is_not_called_too_short_as_well() -> None:
    assert mistakes({"part": {"size": 1, "names": ["a", 2]}}) == [
        (("part", "names", 1), "input should be a valid string (got 2)")
    ]


def test_a_secret_is_not_repeated() -> None:
    ((place, text),) = mistakes({"part": {"size": 1}, "database_url": "a password that is too long"})
    assert place == ("database_url",) and "password" not in text


def test_places_are_written_as_in_the_file() -> None:
    assert dotted(("gate", "thresholds", 0, "metric")) == "gate.thresholds[0].metric"
    assert dotted(()) == ""


def test_only_a_close_word_is_suggested() -> None:
    assert suggest("bach", ["batch", "language"]) == "; did you mean 'batch'?"
    assert suggest("zzz", ["batch", "language"]) == ""


def test_the_keys_of_a_table_are_found_through_lists_too() -> None:
    assert keys_at(Whole, ()) == ["part", "parts", "database_url"]
    assert keys_at(Whole, ("parts", 3)) == keys_at(Whole, ("part",)) == ["size", "names"]
    assert keys_at(Whole, ("part", "size")) == keys_at(Whole, ("nothing",)) == []


def test_a_file_is_read_as_a_model_or_every_mistake_is_noted(tmp_path: Path) -> None:
    file, noted = tmp_path / "part.toml", list[str]()
    file.write_text("size = 2\nnames = ['a', 'b', 'c']\n")
    assert read_model(file, Part, noted) == Part(size=2, names=("a", "b", "c"))
    assert read_toml(file, noted) == {"size": 2, "names": ["a", "b", "c"]} and noted == []
    file.write_text("sizes = 2\n")
    assert read_model(file, Part, noted) is None
    assert noted == [f"{file}: size: is missing", f"{file}: sizes: is not a key here; did you mean 'size'?"]


def test_a_byte_order_mark_is_no_part_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "written-on-windows.toml"
    file.write_bytes(b'\xef\xbb\xbfkey = "Zo\xc3\xab"\r\n')
    problems: list[str] = []
    assert (read_toml(file, problems), problems) == ({"key": "Zoë"}, [])
