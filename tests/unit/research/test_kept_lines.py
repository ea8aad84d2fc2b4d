"""Lines of an earlier run beside new ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kbsync.domain.errors import DataError
from kbsync.research.bench import Data, Extent, run_scaling
from kbsync.research.kept_lines import with_kept_lines
from tests.support.research_bench import NoiseEditor, bench, noise, value

EXTENT = Extent(cases=4, answer_tokens=2)


def measured(place: Path, data: Data, name: str, extent: Extent = EXTENT) -> dict[str, Any]:
    (line,) = noise(NoiseEditor())
    return run_scaling(bench(place), data, [replace(line, name=name)], sizes=[2, 4], extent=extent)


@pytest.mark.slow
def test_kept_lines_stand_beside_new_ones_with_their_commit(tmp_path: Path, counterfact: Data) -> None:
    first = measured(tmp_path / "a", counterfact, "memit") | {"commit": "c1"}
    second = with_kept_lines(measured(tmp_path / "b", counterfact, "mend") | {"commit": "c2"}, first)
    for name in ("memit@2.score", "memit@4.perplexity"):
        assert value(second, name) == value(first, name)
    assert value(second, "mend@4.score") >= 0
    names = [figure["name"] for figure in second["figures"]]
    assert len(names) == len(set(names))
    assert set(second["recipes"]) == {"memit", "mend"}
    assert {cell["algorithm"] for cell in second["results"]} == {"none", "memit", "mend"}
    assert second["kept"] == {"memit": {"commit": "c1", "started": first["started"]}}
    third = with_kept_lines(measured(tmp_path / "c", counterfact, "rome") | {"commit": "c3"}, second)
    assert {name: one["commit"] for name, one in third["kept"].items()} == {"memit": "c1", "mend": "c2"}
    again = with_kept_lines(measured(tmp_path / "d", counterfact, "memit") | {"commit": "c4"}, second)
    assert set(again["kept"]) == {"mend"}, "a line that is measured now is not kept"


@pytest.mark.slow
def test_lines_of_other_cases_or_measurements_are_refused(tmp_path: Path, counterfact: Data) -> None:
    first = measured(tmp_path / "a", counterfact, "memit")
    with pytest.raises(DataError, match="cases_sha256"):
        with_kept_lines(measured(tmp_path / "b", replace(counterfact, seed=1), "mend"), first)
    with pytest.raises(DataError, match="none@4"):
        with_kept_lines(measured(tmp_path / "c", counterfact, "mend", replace(EXTENT, cases=2)), first)
    other = first | {"model": first["model"] | {"fingerprint": "another"}}
    with pytest.raises(DataError, match="model differ"):
        with_kept_lines(measured(tmp_path / "d", counterfact, "mend"), other)


@pytest.mark.slow
def test_answers_that_were_judged_by_other_rules_are_left_out_of_kept_lines(tmp_path: Path, counterfact: Data) -> None:
    first = measured(tmp_path / "a", counterfact, "memit") | {"commit": "c1"}
    second = measured(tmp_path / "b", counterfact, "mend") | {"commit": "c2"}
    assert with_kept_lines(second, first)["judged_otherwise"] is False
    for figure in first["figures"]:
        if figure["name"] == "none@4.specificity_greedy":
            figure["value"] += 0.25
    together = with_kept_lines(second, first)
    assert together["judged_otherwise"] is True
    names = {figure["name"] for figure in together["figures"]}
    assert {"memit@4.efficacy_strict", "mend@4.efficacy_greedy", "none@4.efficacy_greedy"} <= names
    assert "memit@4.efficacy_greedy" not in names and "memit@2.specificity_greedy" not in names
    cells = {(cell["algorithm"], name) for cell in together["results"] for name in cell["estimates"]}
    assert ("mend", "efficacy_greedy") in cells and ("memit", "efficacy_greedy") not in cells
    third = with_kept_lines(measured(tmp_path / "c", counterfact, "rome"), together)
    assert third["judged_otherwise"] is True, "a line that is kept once more is as it was"
