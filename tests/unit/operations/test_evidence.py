import json
import subprocess
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import pytest

from docs.generate.tables import main, rewrite
from kbsync.operations.evidence import Figure, at_least, at_most, evidence, peak_rss_bytes, write_evidence
from tests.support.paths import ROOT


def document() -> dict[str, object]:
    figures = [at_least("efficacy", 0.95, "share", 0.9), at_most("elapsed", 901, "s", 900), Figure("items", 3, "items")]
    return evidence("make demo", figures, seed=1, started=datetime(2026, 1, 1, tzinfo=UTC), seconds=1.25, extra="x")


def test_the_head_is_complete_and_figures_say_whether_they_hold(tmp_path: Path) -> None:
    write_evidence(tmp_path / "a.json", document())
    read = json.loads((tmp_path / "a.json").read_text())
    head = {"command", "commit", "versions", "machine", "seed", "started", "seconds", "peak_rss_bytes", "figures"}
    assert head | {"extra"} == set(read)
    assert [f["holds"] for f in read["figures"]] == [True, False, None]
    assert 0 < read["peak_rss_bytes"] <= peak_rss_bytes()


def test_the_peak_of_a_program_is_its_own() -> None:
    held = bytearray(300 * 2**20)  # pages of zeros, touched
    held[::4096] = b"x" * len(held[::4096])
    script = "from kbsync.operations.evidence import peak_rss_bytes; print(peak_rss_bytes())"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert int(told) < len(held) < peak_rss_bytes()


def test_a_figure_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    broken = document() | {"figures": [{"value": float("nan")}]}
    with pytest.raises(ValueError, match="Out of range"):
        write_evidence(tmp_path / "a.json", broken)


def test_blocks_are_generated_from_the_file(tmp_path: Path) -> None:
    write_evidence(tmp_path / "a.json", document())
    text = "before\n<!-- figures a.json -->\nold\n<!-- end -->\nafter\n"
    fresh = rewrite(text, tmp_path)
    assert "| efficacy | 95.0% | >= 0.9 | yes |" in fresh
    assert "| elapsed | 901 s | <= 900 | **no** |" in fresh
    assert fresh.startswith("before\n") and fresh.endswith("<!-- end -->\nafter\n")
    assert rewrite(fresh, tmp_path) == fresh


def test_a_block_of_columns_has_a_row_for_each_line(tmp_path: Path) -> None:
    made = [("memit@10.score", 0.9, "share"), ("memit@10.other", 1, "s"), ("rome@10.score", 0.5, "share")]
    figures = [asdict(Figure(*f)) for f in [*made, ("memit@10.seconds", 7, "s")]]
    write_evidence(tmp_path / "a.json", document() | {"figures": figures})
    fresh = rewrite("<!-- figures a.json: score seconds -->\n<!-- end -->\n", tmp_path)
    assert "| line | score | seconds |\n|---|---|---|\n| memit@10 | 90.0% | 7 s |\n| rome@10 | 50.0% |  |\n" in fresh
    with pytest.raises(ValueError, match="no figure is named nothing"):
        rewrite("<!-- figures a.json: score nothing -->\n<!-- end -->\n", tmp_path)


def test_the_documentation_shows_the_figures_of_its_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0
