from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.errors import DataError
from kbsync.ports import Work
from kbsync.text.corpus import read_texts
from kbsync.text.dataset import DatasetName, fetch_dataset
from tests.support.dataset_hub import hub
from tests.support.recorded_work import RecordedWork


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([], "gave no text"),
        ([{"other": "x"}], "no field 'text'"),
        (OSError("no network"), "can't be fetched: no network"),
    ],
)
def test_a_data_set_that_can_not_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: Any, says: str) -> None:
    hub(monkeypatch, rows)
    with pytest.raises(DataError, match=says):
        fetch_dataset(DatasetName.parse("owner/name"), 1000, tmp_path, Work())
    assert list(tmp_path.iterdir()) == []


def test_without_the_package_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DataError, match=r"kbsync\[datasets\]"):
        fetch_dataset(DatasetName.parse("owner/name"), 1000, tmp_path, Work())


def test_the_budget_of_characters_bounds_what_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub(monkeypatch, [{"text": "x" * 300}] * 100)
    path = fetch_dataset(DatasetName.parse("owner/name"), 1000, tmp_path, Work())
    assert len(path.read_text().splitlines()) == 4


def test_what_was_fetched_is_used_again_and_read_as_texts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hub(monkeypatch, [{"text": " one\n\nstill one "}, {"text": ""}, {"text": None}, {"text": "two"}])
    work = RecordedWork()
    paths = {fetch_dataset(DatasetName.parse("owner/name"), 1000, tmp_path / "texts", work) for _ in range(2)}
    assert read_texts(paths) == ["one\n\nstill one", "two"]
    assert (len(asked), work.steps, work.items) == (1, [("fetch owner/name", 1000)], 17)
    assert fetch_dataset(DatasetName.parse("owner/name"), 999, tmp_path / "texts", work) not in paths


def test_a_name_says_which_texts_are_meant() -> None:
    assert DatasetName.parse("owner/name?config=en&split=test&field=body&revision=abc") == DatasetName(
        "owner/name", config="en", split="test", field="body", revision="abc"
    )
    assert DatasetName.parse("name") == DatasetName("name")
    for text, says in (("../name", "is not the name of a data set"), ("name?fields=body", "'fields' is none of")):
        with pytest.raises(ValueError, match=says):
            DatasetName.parse(text)
