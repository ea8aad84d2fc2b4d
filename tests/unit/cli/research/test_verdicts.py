"""``kbsync bench verdicts``: what it writes, and what it says where there are no labelled answers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.research.verdicts import read_labelled
from tests.support.cli import Cli
from tests.support.paths import ROOT

ANSWERS = ROOT / "tests" / "samples" / "answers" / "answers.jsonl.gz"


@pytest.mark.slow
def test_it_writes_the_figures_with_their_targets(bench: Cli, tmp_path: Path) -> None:
    shown = bench.good("bench", "verdicts", str(ANSWERS))
    document = json.loads((tmp_path / "docs" / "results" / "verdicts.json").read_text())
    targets = {figure["name"]: figure["target"] for figure in document["figures"]}
    assert targets["precision.current"] == ">= 0.99"
    assert targets["demo.wrong"] == "<= 1"
    assert "recall.unknown" in shown.out
    assert document["data"]["records"] == len(read_labelled(ANSWERS))


def test_without_labelled_answers_it_says_where_they_are(bench: Cli, tmp_path: Path) -> None:
    refused = bench("bench", "verdicts")
    assert refused.code == 65
    assert "tests/samples/answers/answers.jsonl.gz" in refused.err
    assert "name a file" in refused.err
    assert not (tmp_path / "docs").exists()


def test_a_broken_record_is_named(bench: Cli, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"origin": "library"}\n')
    refused = bench("bench", "verdicts", "a.jsonl")
    assert refused.code == 65
    assert "a.jsonl, record 1" in refused.err
