"""``kbsync bench covariance`` on a small random Llama: sources and budgets as lines, and what is computed only once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bench_cli import SMALL, figure
from tests.support.bench_records import flattened, write
from tests.support.cli import Cli

pytestmark = pytest.mark.slow


def test_without_a_source_or_with_two_of_one_name_nothing_is_done(bench: Cli, tmp_path: Path) -> None:
    assert "name a source" in bench("bench", "covariance", "cf.json").err
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "texts.txt").write_text("Text.")
    result = bench("bench", "covariance", "cf.json", "--corpus", "texts.txt", "--corpus", "sub/texts.txt", *SMALL)
    assert result.code == 2 and "two sources have one file name" in result.err
    result = bench("bench", "covariance", "cf.json", "--sampled", "--budgets", "many")
    assert result.code == 2 and "--budgets is a list" in result.err
    assert not (tmp_path / "docs").exists()


def test_only_what_the_base_has_right(bench: Cli, tmp_path: Path) -> None:
    answers = [("Rome", "Paris") if n % 2 else ("Paris", "Rome") for n in range(60)]
    records = [
        flattened(n, f"Town {n}", target_new=new, ground_truth=true, locality_ground_truth=true)
        for n, (new, true) in enumerate(answers)
    ]
    write(tmp_path / "many.json", records)
    found = bench.good("bench", "counterfact", "many.json", "--edits", "2", "--known", *SMALL, "--json").json
    assert figure(found, "none@2.specificity_success")["value"] == 1.0
    assert figure(found, "none@2.efficacy_success")["value"] == 0.0
    result = bench("bench", "counterfact", "many.json", "--edits", "60", "--known", *SMALL)
    assert result.code == 65 and "of 60 right" in result.err and "leave out --known" in result.err
