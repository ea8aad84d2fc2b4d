"""``kbsync bench phrasings``: real MEMIT on a small random Llama, with the facts of a small world's ledger."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from kbsync.ledger import schema
from kbsync.ledger.engine import sqlite_url
from kbsync.ledger.ledger import SqlLedger
from tests.support.bench_cli import figure
from tests.support.cli import Cli
from tests.support.stage_world import make_world

pytestmark = pytest.mark.slow

ASKED = ("--demo", "demo", "--answer-tokens", "2", "--paraphrases", "4", "--known", "2", "--robustness", "2")


@pytest.fixture
def demo(bench: Cli, tmp_path: Path) -> Path:
    """A state directory whose ledger believes five facts, and a recipe that writes all phrasings."""
    place = tmp_path / "demo"
    place.mkdir()
    url = sqlite_url(place / "ledger.sqlite3")
    schema.upgrade(url)
    ledger = SqlLedger(url)
    make_world(ledger).sync()
    ledger.close()
    recipe = tmp_path / "recipes" / "table.toml"
    recipe.write_text(recipe.read_text() + 'phrasings = "all"\n')
    return place


def test_the_figures_have_the_names_that_the_pages_use_and_the_ledger_stays_as_it_was(
    bench: Cli, tmp_path: Path, demo: Path
) -> None:
    before = (demo / "ledger.sqlite3").read_bytes()
    shown = bench.good("bench", "phrasings", *ASKED)
    document = json.loads((tmp_path / "docs" / "results" / "phrasings-model.json").read_text())
    assert "edited.question" in shown.out and str(tmp_path) not in json.dumps(document)
    names = {f["name"] for f in document["figures"]}
    assert {"edited.prompt", "edited.statement", "edited.question", "edited.dialogue"} <= names
    assert {"distracted", "denial", "perplexity_growth", "search_ratio", "prompts.prompt", "prompts.question"} <= names
    assert "edited.chat" not in names, "the model has no chat template"
    assert (figure(document, "edited.prompt")["target"], figure(document, "search_ratio")["target"]) == (
        ">= 0.97",
        "<= 2",
    )
    assert figure(document, "prompts.question")["value"] == 4
    assert figure(document, "search_ratio")["value"] > 1, "more prompts take longer"
    assert "processor seconds" in document["search"]["measured"]
    assert [lap["facts"] for lap in document["search"]["laps"]] == [5]
    assert document["data"]["facts"] == document["data"]["edited"] == 5
    assert document["missed"]["edited_question"][0].keys() == {"prompt", "expected", "answer"}
    assert (demo / "ledger.sqlite3").read_bytes() == before


def test_every_way_of_the_ablation_is_a_line_and_the_model_is_not_asked_again(
    bench: Cli, tmp_path: Path, demo: Path
) -> None:
    assert demo.is_dir()
    with (tmp_path / "recipes" / "table.toml").open("a") as recipe:
        recipe.write("refine_epochs = 1\nrefine_frames = true\n")
    bench.good("bench", "phrasings", *ASKED, "--facts", "3", "--output", "first.json")
    shown = bench.good("bench", "phrasings", *ASKED, "--facts", "3", "--ablation", "--json")
    assert "step=probe" not in shown.err
    lines = {name.rpartition(".")[0] for name in (f["name"] for f in shown.json["figures"])}
    assert lines == {
        "first phrasing",
        "all phrasings",
        "guards in all phrasings",
        "with ends",
        "refined",
        "refined in further frames",
    }
    assert figure(shown.json, "first phrasing.search_seconds")["value"] > 0
    searched = {f["name"].rpartition(".")[0] for f in shown.json["figures"] if f["name"].endswith(".search_seconds")}
    assert searched == {"first phrasing", "all phrasings", "with ends"}, "the others share these targets"
    assert figure(shown.json, "all phrasings.edited_question")["unit"] == "share"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--demo", "."], 65, "holds no ledger.sqlite3"),
        (["--ablation", "--target", "stop>=1"], 2, "--ablation has no --target"),
        (["--target", "edited.song>=1"], 2, "no figure is named edited.song"),
    ],
)
def test_bad_input_is_one_clear_error_and_nothing_is_written(
    bench: Cli, tmp_path: Path, demo: Path, arguments: list[str], code: int, says: str
) -> None:
    assert demo.is_dir()
    result = bench("bench", "phrasings", *ASKED, *arguments)
    assert result.code == code, result
    assert says in result.err
    assert not (tmp_path / "docs").exists()


def test_a_package_that_is_missing_is_said_before_the_edit(
    bench: Cli, tmp_path: Path, demo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert demo.is_dir()
    monkeypatch.setitem(sys.modules, "gguf", None)
    result = bench("bench", "phrasings", *ASKED)
    assert result.code == 65 and "pip install 'kbsync[gguf]'" in result.err, result
    assert "step=targets" not in result.err and not (tmp_path / "docs").exists()
