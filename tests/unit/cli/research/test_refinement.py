"""``kbsync bench refinement``: real MEMIT on a small random Llama."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.bench_cli import RECIPE, SMALL, figure
from tests.support.cli import Cli

pytestmark = pytest.mark.slow


def test_the_parts_of_a_refinement_stand_beside_each_other(bench: Cli, tmp_path: Path) -> None:
    refining = RECIPE + "refine_epochs = 2\nrefine_batch = 4\n"
    (tmp_path / "recipes" / "refined.toml").write_text(refining)
    arguments = ["bench", "refinement", "cf.json", "--recipe", "refined", "--beside", "soft", "--sizes", "2", *SMALL]
    bench.good(*arguments, "--cases", "2")
    document = json.loads((tmp_path / "docs" / "results" / "refinement-model.json").read_text())
    lines = {cell["algorithm"] for cell in document["results"]}
    assert {"none", "closed-form", "unheld", "text-held", "prompts-held", "refined", "held-twice", "soft"} <= lines
    assert "shards" in lines and "first-and-last" not in lines, "the recipe has two layers"
    assert figure(document, "seconds_ratio")["target"] == "<= 1"
    assert figure(document, "refined@2.efficacy_strict")["value"] >= figure(document, "none@2.efficacy_strict")["value"]


def test_a_recipe_that_does_not_refine_has_nothing_to_take_apart(bench: Cli) -> None:
    shown = bench("bench", "refinement", "cf.json", "--recipe", "soft", *SMALL)
    assert shown.code == 78 and "does not refine" in shown.err
    assert bench("bench", "refinement", "cf.json", "--beside", "soft", *SMALL).code == 2
