"""The research benchmarks as commands: real MEMIT on a small random Llama, from records to evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kbsync.domain.errors import ConfigError
from kbsync.ports import Work
from kbsync.research.session import SessionOptions, research_session
from tests.support.bench_cli import RECIPE, SMALL, figure
from tests.support.bench_records import flattened, published, write, zsre
from tests.support.cli import Cli

pytestmark = pytest.mark.slow


def test_counterfact_writes_what_it_measured_and_goes_on_where_it_was(bench: Cli, tmp_path: Path) -> None:
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


def test_a_further_line_writes_each_case_in_its_relation_s_phrasings(bench: Cli, tmp_path: Path) -> None:
    (tmp_path / "recipes" / "whole.toml").write_text(RECIPE + 'phrasings = "all"\n')
    write(tmp_path / "ids.jsonl", [{"case_id": n, "relation_id": "P17"} for n in range(7)])
    arguments = ["bench", "counterfact", "cf.json", "--edits", "8", "--cases", "2", *SMALL, "--phrasings", "whole"]
    target = ["--target", "phrasings@8.generalization_greedy>=0.8"]
    document = bench.good(*arguments, "--relation-ids", "ids.jsonl", *target, "--json").json
    assert {cell["algorithm"] for cell in document["results"]} == {"none", "memit", "phrasings"}
    assert figure(document, "phrasings@8.generalization_greedy")["target"] == ">= 0.8"
    written = document["data"]["written"]
    assert list(written) == ["phrasings"]
    assert (written["phrasings"]["cases_in_more_phrasings"], written["phrasings"]["phrasings"]) == (7, 49)
    without = bench(*arguments)
    assert without.code == 65 and "--relation-ids FILE" in without.err
    once = bench(*arguments[:-1], "table", "--relation-ids", "ids.jsonl")
    assert once.code == 78 and 'set phrasings = "all"' in once.err


def test_the_base_alone_is_measured_without_an_edit(bench: Cli, tmp_path: Path) -> None:
    arguments = ["bench", "counterfact", "cf.json", "--edits", "4", *SMALL, "--base-only"]
    document = bench.good(*arguments, "--in-context", "--json").json
    assert [cell["algorithm"] for cell in document["results"]] == ["none", "context"] and document["recipes"] == {}
    assert (tmp_path / "docs" / "results" / "counterfact-base-model.json").exists()
    assert [cell["algorithm"] for cell in bench.good(*arguments, "--json").json["results"]] == ["none"]
    for more in (["--recipe", "memit"], ["--phrasings", "memit"]):
        refused = bench(*arguments, *more)
        assert refused.code == 2 and "it edits nothing" in refused.err


def test_the_covariance_in_use_is_used_and_not_changed(bench: Cli, tmp_path: Path) -> None:
    bench.good("stats", "build")
    kept = {p: p.read_bytes() for p in (tmp_path / "state" / "artifacts").rglob("*") if p.is_file()}
    shown = bench.good("bench", "counterfact", "cf.json", "--edits", "2", "--cases", "1", *SMALL)
    assert "step=targets" in shown.err and "step=covariance" not in shown.err
    assert {p: p.read_bytes() for p in (tmp_path / "state" / "artifacts").rglob("*") if p.is_file()} == kept


def test_several_recipes_are_several_lines_of_one_plot(bench: Cli, tmp_path: Path) -> None:
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
def test_a_line_that_ends_nowhere_or_is_there_twice_is_wrong_usage(bench: Cli, recipes: list[str]) -> None:
    asked = [word for name in recipes for word in ("--recipe", name)]
    assert bench("bench", "scaling", "cf.json", *asked, *SMALL).code == 2


def test_zsre_and_another_part_and_seed(bench: Cli, tmp_path: Path) -> None:
    write(tmp_path / "z.json", [zsre(f"Town {n}", loc=f"nq question: what is {n}") for n in range(6)])
    one = bench.good("bench", "zsre", "z.json", "--edits", "3", *SMALL, "--json").json
    two = bench.good("bench", "zsre", "z.json", "--edits", "3", *SMALL, "--seed", "1", "--json").json
    assert one["data"]["cases_sha256"] != two["data"]["cases_sha256"]
    assert 0 <= figure(one, "memit@3.score")["value"] <= 1


def test_without_a_configuration_model_and_recipe_are_named(bench: Cli, tmp_path: Path) -> None:
    bench.config.unlink()
    assert bench("bench", "zsre", "cf.json").code == 78
    wanted = SessionOptions(model="./model", recipes=("table", "gemma-3-270m"), state=tmp_path / "lab")
    with research_session(wanted, Work()) as session:
        assert [r.name for r in session.recipes] == ["table", "gemma-3-270m"], "the second one is shipped"
        assert [a.name for a in session.algorithms()] == ["table", "gemma-3-270m"], "both are MEMIT"
        assert session.model_name == "model" and session.bench().loaded.reference == "model"
    with (
        pytest.raises(ConfigError, match="no recipe 'tabel'; did you mean"),
        research_session(SessionOptions(model="./model", recipes=("tabel",)), Work()),
    ):
        pass


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
    bench: Cli, tmp_path: Path, arguments: list[str], code: int, says: str
) -> None:
    (tmp_path / "recipes" / "deep.toml").write_text(RECIPE.replace("[1, 2]", "[3, 4]"))
    write(tmp_path / "bad.json", [published(1, "Town", rewrite={"prompt": "It is a city in"})])
    write(tmp_path / "empty.json", [flattened(1, "Town", target_new=" ")])
    result = bench("bench", "counterfact", "--part", "all", *arguments)
    assert result.code == code, result
    assert says in result.err
    assert not (tmp_path / "docs").exists()
