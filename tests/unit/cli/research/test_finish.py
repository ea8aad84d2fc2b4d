"""How a benchmark ends: its evidence is written and its figures are shown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.cli.research.finish import finish

DOCUMENT = {
    "command": "kbsync bench something",
    "figures": [{"name": "score", "value": 0.91, "unit": "score", "target": ">= 0.9", "holds": True}],
}


def test_the_file_is_written_in_a_new_directory_and_the_figures_are_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "results" / "something.json"
    finish(DOCUMENT, output, json=False)
    assert json.loads(output.read_text(encoding="utf-8")) == DOCUMENT
    shown = capsys.readouterr().out
    assert "score" in shown and "0.91" in shown and ">= 0.9" in shown and str(output) in shown


def test_as_json_the_document_is_printed_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    finish(DOCUMENT, tmp_path / "something.json", json=True)
    assert json.loads(capsys.readouterr().out) == DOCUMENT
