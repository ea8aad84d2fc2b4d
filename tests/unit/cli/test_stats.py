"""``kbsync stats build`` on a real (random) model, and the texts of a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Cli
from tests.support.dataset_hub import hub
from tests.support.families import random_model, texts, tokenizer
from tests.support.world_app import MAIN, write_configuration


@pytest.fixture
def stats(tmp_path: Path) -> Any:
    """A command line over a configuration with a small Llama and 40 texts."""
    random_model("llama").save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    (tmp_path / "texts.txt").write_text("\n\n".join(texts()))
    main = MAIN.replace('"table"', '"./model"', 1) + '[text]\ncorpus = ["texts.txt"]\n'
    config = write_configuration(tmp_path, main)
    (tmp_path / "recipes" / "table.toml").write_text("layers = [1, 2]\ncovariance_tokens = 900\n")
    return Cli(config, None)  # type: ignore[arg-type]


@pytest.mark.slow
def test_it_measures_once_and_an_edit_finds_it(stats: Any, tmp_path: Path) -> None:
    dry = stats.good("stats", "build", "--dry-run", "--json").json
    assert [(s["layer"], s["tokens"], s["known"]) for s in dry["layers"]] == [(1, None, False), (2, None, False)]
    assert not (tmp_path / "state" / "artifacts").exists()
    first = stats.good("stats", "build", "--json").json
    again = stats.good("stats", "build", "--json").json
    assert [(s["tokens"], s["known"]) for s in first["layers"]] == [(900, False)] * 2
    assert [(s["tokens"], s["known"]) for s in again["layers"]] == [(900, True)] * 2
    assert first["fingerprint"] == again["fingerprint"] and first["used_by_edits"]
    assert (first["source"], first["texts"], first["layers"][0]["width"]) == ("text", 40, 48)
    anew = stats.good("stats", "build", "--anew", "--json").json
    assert anew["fingerprint"] == first["fingerprint"] and not anew["layers"][0]["known"]


@pytest.mark.slow
def test_other_layers_budget_and_text_are_said_not_to_be_the_edit_s(stats: Any, tmp_path: Path) -> None:
    other = stats.good("stats", "build", "--layers", "1,3", "--tokens", "40")
    assert "fewer tokens than 48 dimensions" in other.out and "another budget, layers or text" in other.out
    lines = tmp_path / "more.jsonl"
    lines.write_text("\n".join(json.dumps({"text": t}) for t in texts(5)))
    view = stats.good("stats", "build", "--corpus", str(lines), "--json").json
    assert view["texts"] == 5 and not view["used_by_edits"]
    sampled = stats.good("stats", "build", "--sampled", "--tokens", "300", "--json").json
    assert sampled["source"] == "model" and sampled["layers"][0]["tokens"] >= 300


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["--layers", "3-1"], 2, "names no layers"),
        (["--layers", "4"], 65, "layers 0 to 3"),
        (["--corpus", ".", "--sampled"], 2, "choose one of"),
        (["--dataset", "a b"], 78, "not the name of a data set"),
        (["--dataset", "owner/name?splt=x"], 78, "'splt' is none of"),
        (["--recipe", "no"], 78, "no recipe"),
    ],
)
def test_what_can_not_be_is_refused_by_name(stats: Any, arguments: list[str], code: int, says: str) -> None:
    result = stats("stats", "build", *arguments)
    assert result.code == code, result
    assert says in result.err


@pytest.mark.slow
def test_a_data_set_is_fetched_once_up_to_its_budget(stats: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = hub(monkeypatch, [{"body": t} for t in texts(40)])
    name = "owner/name?config=en&field=body&revision=abc"
    one = stats.good("stats", "build", "--dataset", name, "--json").json
    two = stats.good("stats", "build", "--dataset", name, "--json").json
    assert one["fingerprint"] == two["fingerprint"] and one["texts"] == 40
    assert asked == [(("owner/name", "en"), {"split": "train", "revision": "abc", "streaming": True})]
