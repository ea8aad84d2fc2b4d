"""``kbsync bench capacity``: real MEMIT on a small random Llama."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.bench_cli import SMALL, figure
from tests.support.cli import Cli

pytestmark = pytest.mark.slow


def test_capacity_reuses_target_vectors_and_says_what_goes_into_the_recipe(bench: Cli, tmp_path: Path) -> None:
    arguments = ["bench", "capacity", "cf.json", "--recipe", "soft", "--sizes", "2,4,8", "--cases", "2", *SMALL]
    arguments += ["--target", "memit@8.efficacy_strict>=2"]
    shown = bench.good(*arguments)
    path = tmp_path / "docs" / "results" / "capacity-model.json"
    document = json.loads(path.read_text())
    assert document["command"] == "kbsync bench capacity" and document["recipes"]["memit"]["name"] == "soft"
    assert [size["edits"] for size in document["capacity"]["sizes"]] == [2, 4, 8]
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    demanded = figure(document, "memit@8.efficacy_strict")
    assert (demanded["target"], demanded["holds"]) == (">= 2", False)
    limit = document["capacity"]["limit"]
    assert figure(document, "capacity")["value"] == limit
    said = f"capacity = {limit}" if limit else "no size holds the gate's bounds"
    assert said in shown.out
    assert [line for line in shown.err.splitlines() if "step=targets" in line and "were known" in line] != []
    again = bench.good(*arguments, "--json")
    assert again.json["capacity"] == document["capacity"]
    assert "measure" not in again.err and "targets" not in again.err, "all parts were kept"
    assert not (tmp_path / "state" / "ledger.sqlite3").exists()
