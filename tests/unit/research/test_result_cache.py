"""Finished parts of a benchmark."""

from __future__ import annotations

from pathlib import Path

import pytest

import kbsync
from kbsync.research.bench import Data, run_counterfact
from kbsync.research.result_cache import EDITED_BY, MEASURED_BY, code_hash
from tests.support.research_bench import EXTENT, NoiseEditor, Steps, bench, noise


@pytest.mark.slow
def test_a_finished_run_computes_nothing_again(tmp_path: Path, counterfact: Data) -> None:
    editor, steps = NoiseEditor(), Steps()
    first = run_counterfact(bench(tmp_path), counterfact, noise(editor), edits=10, extent=EXTENT)
    second = run_counterfact(bench(tmp_path, steps), counterfact, noise(editor), edits=10, extent=EXTENT)
    assert (editor.calls, steps.stages) == ([10], [])
    assert first["results"] == second["results"]


def test_parts_of_other_code_are_other_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "editing").mkdir()
    (tmp_path / "model" / "a.py").write_text("x = 1\n")
    (tmp_path / "editing" / "b.py").write_text("y = 1\n")
    monkeypatch.setattr(kbsync, "__file__", str(tmp_path / "__init__.py"))
    both, one = code_hash(["model", "editing"]), code_hash(["model"])
    (tmp_path / "editing" / "b.py").write_text("y = 2\n")
    assert code_hash(["model", "editing"]) != both
    assert code_hash(["model"]) == one


def test_a_package_that_there_is_not_is_refused_instead_of_left_out() -> None:
    with pytest.raises(ValueError, match="no package evaluation"):
        code_hash(["model", "evaluation"])


def test_the_code_that_makes_figures_and_edits_is_all_there() -> None:
    assert len({code_hash(EDITED_BY), code_hash(MEASURED_BY)}) == 2
