"""``kbsync recipe tune``: real MEMIT on a small random Llama, from records to a recipe and its evidence."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from kbsync.config import load_recipe
from kbsync.domain.recipe import Recipe
from kbsync.ports import Work
from kbsync.research.session import SessionOptions, research_session
from kbsync.research.tracing import Suggestion
from tests.support.bench_cli import RECIPE, SMALL, figure
from tests.support.bench_records import flattened, write
from tests.support.cli import Cli

pytestmark = pytest.mark.slow


def test_a_recipe_is_found_on_one_part_and_checked_on_the_other(bench: Cli, tmp_path: Path) -> None:
    write(tmp_path / "many.json", [flattened(n, f"Town {n}") for n in range(40)])
    arguments = [
        "--layers",
        "1-2",
        "--layers",
        "0-1",
        "--lambda",
        "1",
        "--lambda",
        "10",
        "--rate",
        "0.2",
        "--clamp",
        "0.6",
    ]
    small = ["--dev", "2", "--check", "3", "--answer-tokens", "1"]
    (tmp_path / "recipes" / "table.toml").write_text(RECIPE + f"capacity = 7\ntrace = '{'0' * 64}'\n")
    planned = bench.good("recipe", "tune", "many.json", "mine", *arguments, *small, "--dry-run", "--json").json
    assert planned["trials"] == 5 and not (tmp_path / "docs").exists()
    shown = bench.good("recipe", "tune", "many.json", "mine", *arguments, *small)
    assert "recipe written to" in shown.out
    path = tmp_path / "recipes" / "mine.toml"
    recipe = load_recipe("mine", tmp_path / "recipes")
    document = json.loads((tmp_path / "docs" / "results" / "recipe-mine.json").read_text())
    assert (recipe.learning_rate, recipe.clamp, recipe.steps, recipe.covariance_tokens) == (0.2, 0.6, 3, 900)
    assert recipe.capacity == 0, "it was measured with another step"
    assert bool(recipe.trace) == (recipe.layers == (1, 2)), "the trace is that of the layers"
    assert recipe.fingerprint == document["recipe"]["fingerprint"]
    assert document["data"]["dev"]["cases"] == 2 and document["data"]["held_out"]["cases"] == 3
    best = max(
        document["trials"], key=lambda t: (t["sound"], round(t["figures"]["score"], 3), t["figures"]["efficacy_strict"])
    )
    assert figure(document, "dev.score")["value"] == best["figures"]["score"]
    tried = "layers {}, λ {:g}, step {:g}, clamp {:g}.score"
    for t in document["trials"]:
        name = tried.format(",".join(map(str, t["layers"])), t["covariance_weight"], t["learning_rate"], t["clamp"])
        assert figure(document, name)["value"] == t["figures"]["score"]
    assert f"{figure(document, 'held-out.score')['value']:.3f}" in path.read_text()
    before = path.read_bytes()
    again = bench.good("recipe", "tune", "many.json", "mine", *arguments, *small)
    assert path.read_bytes() == before and "targets" not in again.err, "all trials were kept"
    assert bench.good("bench", "counterfact", "many.json", "--edits", "2", "--recipe", "mine", *SMALL).code == 0


def test_layers_of_a_trace_are_tried_and_the_recipe_records_it(bench: Cli, tmp_path: Path) -> None:
    write(tmp_path / "many.json", [flattened(n, f"Town {n}") for n in range(40)])
    plain = ["--lambda", "1", "--rate", "0.2", "--clamp", "0.6", "--dev", "2", "--check", "2", "--answer-tokens", "1"]
    ask = ["recipe", "tune", "many.json", "mine", *plain, "--trace", "trace.json"]
    trace, recipe = tmp_path / "trace.json", tmp_path / "recipes" / "mine.toml"
    with research_session(SessionOptions(model=str(tmp_path / "model"), state=tmp_path / "look"), Work()) as session:
        model = {"fingerprint": session.app.base.fingerprint}
    for text, says in (
        ("no JSON", "holds no trace"),
        ('{"model": {}}', "holds no trace"),
        (json.dumps({"suggestion": {"layers": [1]}, "model": {"fingerprint": "x"}}), "trace of another model"),
        (json.dumps({"suggestion": {"layers": []}, "model": model}), "suggests no layers"),
    ):
        trace.write_text(text)
        result = bench(*ask)
        assert result.code == 65 and says in result.err and not recipe.exists()
    trace.write_text(json.dumps({"suggestion": {"layers": [1, 2]}, "model": model}))
    digest = hashlib.sha256(trace.read_bytes()).hexdigest()
    assert bench.good(*ask, "--layers", "0-1", "--dry-run", "--json").json["layers"] == [[0, 1], [1, 2]]
    bench.good(*ask, "--layers", "1-2")
    assert load_recipe("mine", tmp_path / "recipes").trace == digest and digest in recipe.read_text()
    document = json.loads((tmp_path / "docs" / "results" / "recipe-mine.json").read_text())
    assert document["trace"] == {"layers": [1, 2], "trace": digest}


def test_a_recipe_with_other_layers_names_no_trace() -> None:
    found = Suggestion((2, 3), "0" * 64)
    plain = Recipe(name="x", layers=(1, 2))
    assert found.of(plain) == plain and found.of(replace(plain, layers=(2, 3))).trace == "0" * 64
