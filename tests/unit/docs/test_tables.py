"""Tables in the documentation come from evidence files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from docs.generate.tables import main, rewrite
from kbsync.operations.evidence import Figure, at_least, at_most, evidence, write_evidence
from tests.support.paths import ROOT


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """A directory with ``a.json`` (plain figures) and ``lines.json`` (figures of the lines of a benchmark)."""
    plain = [at_least("efficacy", 0.95, "share", 0.9), at_most("elapsed", 901, "s", 900), Figure("items", 3, "items")]
    lines = [
        Figure("memit@10.score", 0.9, "share"),
        Figure("memit@10.other", 1, "s"),
        Figure("rome@10.score", 0.5, "share"),
        Figure("memit@10.seconds", 7, "s"),
    ]
    for name, figures in (("a.json", plain), ("lines.json", lines)):
        document = evidence("make demo", figures, seed=1, started=datetime(2026, 1, 1, tzinfo=UTC), seconds=1.25)
        write_evidence(tmp_path / name, document)
    return tmp_path


def test_a_table_has_all_figures_and_says_whether_they_hold(results: Path) -> None:
    text = "before\n<!-- figures a.json -->\nold\n<!-- end -->\nafter\n"
    fresh = rewrite(text, results)
    assert "| efficacy | 95.0% | >= 0.9 | yes |" in fresh
    assert "| elapsed | 901 s | <= 900 | **no** |" in fresh
    assert fresh.startswith("before\n") and fresh.endswith("<!-- end -->\nafter\n")
    assert rewrite(fresh, results) == fresh


def test_a_table_of_columns_has_a_row_for_each_line(results: Path) -> None:
    fresh = rewrite("<!-- figures lines.json: score seconds -->\n<!-- end -->\n", results)
    assert "| line | score | seconds |\n|---|---|---|\n| memit@10 | 90.0% | 7 s |\n| rome@10 | 50.0% |  |\n" in fresh


def test_a_table_of_named_rows_has_these_in_their_order(results: Path) -> None:
    fresh = rewrite("<!-- figures a.json = items; efficacy -->\n<!-- end -->\n", results)
    assert fresh.index("| items |") < fresh.index("| efficacy |")
    assert "elapsed" not in fresh
    assert rewrite(fresh, results) == fresh
    both = rewrite("<!-- figures lines.json: score = rome@10 -->\n<!-- end -->\n", results)
    assert "| rome@10 | 50.0% |" in both and "memit" not in both


@pytest.mark.parametrize(
    "block", ["lines.json: score nothing", "a.json = items; nothing", "lines.json: score = nothing"]
)
def test_a_name_that_no_figure_has_is_refused(results: Path, block: str) -> None:
    with pytest.raises(ValueError, match="no figure is named nothing"):
        rewrite(f"<!-- figures {block} -->\n<!-- end -->\n", results)


def test_main_writes_pages_of_all_folders_and_check_only_tells(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = results / "site"
    (site / "docs" / "results").mkdir(parents=True)
    (site / "docs" / "results" / "a.json").write_text((results / "a.json").read_text())
    (site / "docs" / "tutorial").mkdir()
    page = site / "docs" / "tutorial" / "page.md"
    for path in (site / "README.md", site / "CONTRIBUTING.md", page):
        path.write_text("<!-- figures a.json -->\n<!-- end -->\n")
    monkeypatch.chdir(site)
    assert main(["--check"]) == 1
    assert "efficacy" not in page.read_text()
    assert main([]) == 0
    assert "efficacy" in page.read_text()
    assert main(["--check"]) == 0


def test_the_documentation_shows_the_figures_of_its_results(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert main(["--check"]) == 0
    assert len(json.loads((ROOT / "docs" / "results" / "demo.json").read_text())["figures"]) > 5
