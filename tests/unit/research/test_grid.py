"""A grid of recipes and numbers of edits."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.operations.evidence import write_evidence
from kbsync.research.bench import Data, Extent, run_counterfact, run_scaling
from kbsync.research.plots import plot_scaling
from tests.support.research_bench import EXTENT, RECIPE, NoiseEditor, Steps, bench, noise, value


@pytest.mark.slow
def test_another_recipe_or_corpus_is_another_edit(tmp_path: Path, counterfact: Data) -> None:
    editor = NoiseEditor()
    for algorithms in (
        noise(editor),
        noise(editor, replace(RECIPE, covariance_weight=11.0)),
        noise(editor, inputs="other corpus"),
        noise(editor, replace(RECIPE, name="renamed")),
    ):
        run_counterfact(bench(tmp_path), counterfact, algorithms, edits=4, extent=EXTENT)
    assert editor.calls == [4, 4, 4]


@pytest.mark.slow
def test_an_edit_whose_weights_were_deleted_is_made_again(tmp_path: Path, counterfact: Data) -> None:
    editor = NoiseEditor()
    first = run_counterfact(bench(tmp_path), counterfact, noise(editor), edits=4, extent=EXTENT)
    shutil.rmtree(tmp_path / "versions")
    second = run_counterfact(bench(tmp_path), counterfact, noise(editor), edits=4, extent=EXTENT)
    assert editor.calls == [4, 4]
    assert first["results"] == second["results"]


@pytest.mark.slow
def test_scaling_measures_the_same_cases_at_every_size_and_reuses_them(tmp_path: Path, counterfact: Data) -> None:
    steps, editor = Steps(), NoiseEditor()
    extent = Extent(cases=4, answer_tokens=2, chunk=4)
    document = run_scaling(bench(tmp_path, steps), counterfact, noise(editor), sizes=[12, 4, 8, 4], extent=extent)
    assert editor.calls == [4, 8, 12]
    assert [(c["algorithm"], c["edits"], c["measured"]) for c in document["results"]] == [
        (name, size, 4) for size in (4, 8, 12) for name in ("none", "noise")
    ]
    assert [stage for stage in steps.stages if "none" in stage] == ["measure none at 4"]
    assert value(document, "none@4.score") == value(document, "none@12.score")

    image = tmp_path / "scaling.png"
    write_evidence(tmp_path / "scaling.json", document)
    plot_scaling(tmp_path / "scaling.json", image)
    assert image.read_bytes().startswith(b"\x89PNG\r\n")
    first = image.read_bytes()
    document["results"][1]["estimates"]["score"] |= {"value": 0.99, "low": 0.98, "high": 1.0}
    write_evidence(tmp_path / "scaling.json", document)
    plot_scaling(tmp_path / "scaling.json", image)
    assert image.read_bytes() != first
