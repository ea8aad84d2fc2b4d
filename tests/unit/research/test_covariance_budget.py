"""The key covariance's text and tokens: one line for each source and number of tokens, and the plot of them."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.errors import DataError
from kbsync.domain.gate import Threshold
from kbsync.domain.recipe import Recipe
from kbsync.operations.evidence import write_evidence
from kbsync.research.bench import Data, Extent
from kbsync.research.covariance_budget import plot_covariance, run_covariance
from kbsync.research.grid import Algorithm
from tests.support.research_bench import RECIPE, NoiseEditor, bench

SHARES = {"score": 0.6, "efficacy_success": 0.9, "generalization_success": 0.8, "specificity_success": 0.4}


def line(recipe: Recipe, name: str, *, source: str, editor: NoiseEditor) -> Algorithm:
    """A line whose editor was given the text ``source``."""
    return Algorithm(name, recipe, lambda: editor, source)


def cell(name: str, *, score: float = SHARES["score"]) -> dict[str, Any]:
    shares = SHARES | {"score": score}
    return {
        "algorithm": name,
        "estimates": {figure: {"value": v, "low": v - 0.1, "high": v + 0.05} for figure, v in shares.items()},
    }


def document(*cells: dict[str, Any]) -> dict[str, Any]:
    return {"model": {"reference": "tiny"}, "results": [cell("none"), *cells]}


@pytest.mark.slow
def test_each_source_is_measured_at_each_number_of_tokens(tmp_path: Path, counterfact: Data) -> None:
    wiki, sampled = NoiseEditor(), NoiseEditor()
    result = run_covariance(
        bench(tmp_path),
        counterfact,
        RECIPE,
        {
            "wiki": partial(line, source="wiki", editor=wiki),
            "model": partial(line, source="model", editor=sampled),
        },
        budgets=[300, 100, 300],
        edits=2,
        extent=Extent(cases=1, answer_tokens=1),
        targets=[Threshold(metric="wiki:100@2.left_out", at_most=0)],
    )
    assert [c["algorithm"] for c in result["results"]] == ["none", "wiki:100", "wiki:300", "model:100", "model:300"]
    tokens = {name: recipe["covariance_tokens"] for name, recipe in result["recipes"].items()}
    assert tokens == {"wiki:100": 100, "wiki:300": 300, "model:100": 100, "model:300": 300}
    own = ("covariance_tokens", "fingerprint")
    others = [{k: v for k, v in recipe.items() if k not in own} for recipe in result["recipes"].values()]
    assert all(other == others[0] for other in others), "the lines differ by their covariance alone"
    assert (wiki.calls, sampled.calls) == ([2, 2], [2, 2])
    assert result["command"] == "kbsync bench covariance"
    assert [f["holds"] for f in result["figures"] if f["target"]] == [True]


@pytest.mark.slow
def test_a_budget_that_was_measured_is_not_edited_again(tmp_path: Path, counterfact: Data) -> None:
    editor = NoiseEditor()
    for budgets in ([100], [100, 200]):
        run_covariance(
            bench(tmp_path),
            counterfact,
            RECIPE,
            {"wiki": partial(line, source="wiki", editor=editor)},
            budgets=budgets,
            edits=2,
            extent=Extent(cases=1, answer_tokens=1),
        )
    assert editor.calls == [2, 2]


@pytest.mark.slow
def test_the_plot_shows_every_source_and_changes_with_its_scores(tmp_path: Path) -> None:
    evidence, image = tmp_path / "covariance.json", tmp_path / "covariance.png"

    def drawn(*cells: dict[str, Any]) -> bytes:
        write_evidence(evidence, document(*cells))
        plot_covariance(evidence, image)
        return image.read_bytes()

    one = drawn(cell("wiki:100"), cell("wiki:1000"))
    assert one.startswith(b"\x89PNG\r\n")
    assert drawn(cell("wiki:100"), cell("wiki:1000")) == one
    assert drawn(cell("wiki:100"), cell("wiki:1000"), cell("model:100")) != one
    assert drawn(cell("wiki:100"), cell("wiki:1000", score=0.7)) != one
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


@pytest.mark.parametrize(
    "results", [[], [cell("none")], [cell("none"), cell("memit")]], ids=["empty", "only the base", "another benchmark"]
)
def test_a_file_without_such_a_run_is_not_drawn(tmp_path: Path, results: list[dict[str, Any]]) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"results": results}))
    with pytest.raises(DataError, match="holds no covariance run"):
        plot_covariance(tmp_path / "x.json", tmp_path / "x.png")
    assert not (tmp_path / "x.png").exists()
