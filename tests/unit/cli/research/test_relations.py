"""``kbsync trace relations`` on a small model that answers everything with one of two cities."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

# Settings of a run that takes seconds; every subject is offered with both cities, and the model says one of them.
NAMES = ("France", "Norway", "Acme Inc.", "Italy", "Oslo", "Rome", "Lyon", "Paris", "Anna", "Peru", "Chad", "Malta")
ASK = ("trace", "relations", "pairs.json", "--examples", "2", "--least", "4", "--layers", "1", "--no-plot", "--json")


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    """Two relations; for each subject one of both cities."""
    records = [
        {"relation_id": relation, "subject": name, "prompt": prompt.format(name), "target_true": city}
        for relation, prompt in (("P36", "The capital of {} is"), ("P19", "{} was born in"))
        for number, name in enumerate(NAMES * 2)
        for city in [("Oslo", "Rome")[number // len(NAMES)]]
    ]
    (tmp_path / "pairs.json").write_text(json.dumps(records))
    return tmp_path / "pairs.json"


@pytest.mark.slow
def test_it_says_how_linear_each_relation_is_and_goes_on_where_it_was(
    traced: Any,
    pairs: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = traced.good(*ASK).json
    figures = {figure["name"]: figure["value"] for figure in first["figures"]}
    assert figures["relations"] == len(first["relations"]) >= 1
    for name, result in first["relations"].items():
        assert 0 <= figures[f"{name}.faithfulness"] <= 1 and 0 <= figures[f"{name}.causality"] <= 1
        assert result["layer"] == 1 and result["known"] >= 4
    monkeypatch.setattr("kbsync.research.linearity.estimate", None)
    assert traced.good(*ASK).json["relations"] == first["relations"]


def test_a_rehearsal_measures_nothing(traced: Any, pairs: Path) -> None:
    said = traced.good(*ASK, "--dry-run").json
    assert said == {"relations": 2, "pairs": 48, "examples": 2, "edits": 0, "model": said["model"]}
