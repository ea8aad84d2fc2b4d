"""``kbsync trace`` on a small random Llama: from facts to evidence, heat map and recipe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kbsync.config import load_recipe
from tests.support.traced import ASK, SUBJECTS

pytestmark = pytest.mark.slow


def test_a_trace_becomes_evidence_a_heat_map_and_a_recipe(traced: Any, tmp_path: Path) -> None:
    shown = traced.good(*ASK, "--write", "found")
    path = tmp_path / "docs" / "results" / "trace-model.json"
    document = json.loads(path.read_text())
    assert document["command"] == "kbsync trace" and document["data"]["traced"] == len(SUBJECTS)
    assert document["data"]["skipped"] == {"the model does not know it": len(SUBJECTS)}
    assert len(document["effects"]["mlp"]) == 4 and str(tmp_path) not in path.read_text()
    last = document["effects"]["residual"][3]["last token"]["value"]
    assert last == pytest.approx(document["total_effect"]["value"], rel=1e-4), "the last state is the whole answer"
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    found = load_recipe("found", tmp_path / "recipes")
    assert list(found.layers) == document["suggestion"]["layers"] != []
    assert found.trace == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.fingerprint == replace(found, trace="", name="x").fingerprint
    assert "layers for an edit" in shown.out and "recipe written" in shown.out
    assert not (tmp_path / "state" / "ledger.sqlite3").exists()


def test_a_dry_run_traces_nothing(traced: Any, tmp_path: Path) -> None:
    assert traced.good(*ASK, "--dry-run", "--json").json["facts"] == 2 * len(SUBJECTS)
    assert not (tmp_path / "docs").exists()


def test_nothing_known_and_nothing_in_the_ledger_are_errors(traced: Any, tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text('[{"subject": "France", "prompt": "France is", "attribute": "a place"}]')
    assert traced(*ASK).code == 65
    (tmp_path / "known.json").write_text('[{"subject": "Spain", "prompt": "France is", "attribute": "a place"}]')
    assert "does not occur in its prompt" in traced(*ASK).err
    assert traced("trace", "--model", "./model").code == 2
    assert not (tmp_path / "docs").exists()
