"""Sources of text and budgets of tokens as lines of one run, and their plot."""

from __future__ import annotations

import json
from pathlib import Path

from kbsync.research.covariance_budget import plot_covariance
from tests.support.bench_cli import SMALL, figure
from tests.support.cli import Cli
from tests.support.families import texts


def test_sources_and_budgets_are_lines(bench: Cli, tmp_path: Path) -> None:
    (tmp_path / "other.txt").write_text("\n\n".join(reversed(texts())))
    arguments = ["--corpus", "texts.txt", "--corpus", "other.txt", "--sampled", "--budgets", "900,300", "--edits", "3"]
    shown = bench.good("bench", "covariance", "cf.json", *arguments, *SMALL, "--target", "model:300@3.left_out<=0")
    assert shown.err.count("step=targets") == 1, "target vectors are searched once for all lines"
    path = tmp_path / "docs" / "results" / "covariance-model.json"
    document = json.loads(path.read_text())
    assert [cell["algorithm"] for cell in document["results"]] == [
        "none", "texts:300", "texts:900", "other:300", "other:900", "model:300", "model:900",
    ]  # fmt: skip
    weights = [cell["edit"]["version"] for cell in document["results"][1:]]
    assert len(set(weights)) == 6, "each covariance makes weights of its own"
    assert figure(document, "model:300@3.left_out")["holds"] is True
    image = path.with_suffix(".png")
    assert image.read_bytes().startswith(b"\x89PNG")
    first = image.read_bytes()
    document["results"][1]["estimates"]["score"] |= {"value": 0.99, "low": 0.98, "high": 1.0}
    path.write_text(json.dumps(document))
    plot_covariance(path, image)
    assert image.read_bytes() != first
