"""``kbsync trace`` on a small random Llama: from facts to evidence, heat map and recipe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kbsync.config import load_recipe
from tests.support.cli import Cli
from tests.support.families import random_model, tokenizer
from tests.support.world_app import MAIN, write_configuration

pytestmark = pytest.mark.slow

SUBJECTS = ("France", "Norway", "Acme Inc.", "Italy")


@pytest.fixture
def traced(tmp_path: Path) -> Any:
    """A command line over a model that answers everything with Oslo or Rome, and a file that offers both."""
    model = random_model("llama")
    head = model.get_output_embeddings().weight.data
    one, two = (tokenizer()(f"is {city}", add_special_tokens=False)["input_ids"][1] for city in ("Oslo", "Rome"))
    assert one != two
    row = head[one].clone()
    head.zero_()
    head[one], head[two] = row, -row
    model.save_pretrained(tmp_path / "model")
    tokenizer().save_pretrained(tmp_path / "model")
    config = write_configuration(tmp_path, MAIN.replace('"table"', '"./model"', 1))
    records = [
        {"subject": s, "prompt": f"The capital of {s} is", "attribute": city}
        for s in SUBJECTS
        for city in ("Oslo", "Rome")
    ]
    (tmp_path / "known.json").write_text(json.dumps(records))
    return Cli(config, None)  # type: ignore[arg-type]


ASK = ("trace", "known.json", "--samples", "2", "--window", "1")


def test_a_trace_becomes_evidence_a_heat_map_and_a_recipe(traced: Any, tmp_path: Path) -> None:
    shown = traced.good(*ASK, "--write", "found")
    path = tmp_path / "docs" / "results" / "trace-model.json"
    document = json.loads(path.read_text())
    assert document["command"] == "kbsync trace" and document["data"]["traced"] == len(SUBJECTS)
    assert document["data"]["skipped"] == {"the model does not know it": len(SUBJECTS)}
    assert len(document["effects"]["mlp"]) == 4 and str(tmp_path) not in path.read_text()
    last = document["effects"]["residual"][3]["last token"]["value"]
    assert last == pytest.approx(document["total_effect"]["value"], rel=1e-4), "the last state is the whole answer"
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    found = load_recipe("found", tmp_path / "recipes")
    assert list(found.layers) == document["suggestion"]["layers"] != []
    assert found.trace == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.fingerprint == replace(found, trace="", name="x").fingerprint
    assert "layers for an edit" in shown.out and "recipe written" in shown.out
    assert not (tmp_path / "state" / "ledger.sqlite3").exists()


def test_a_dry_run_traces_nothing(traced: Any, tmp_path: Path) -> None:
    assert traced.good(*ASK, "--dry-run", "--json").json["facts"] == 2 * len(SUBJECTS)
    assert not (tmp_path / "docs").exists()


def test_nothing_known_and_nothing_in_the_ledger_are_errors(traced: Any, tmp_path: Path) -> None:
    (tmp_path / "known.json").write_text('[{"subject": "France", "prompt": "France is", "attribute": "a place"}]')
    assert traced(*ASK).code == 65
    (tmp_path / "known.json").write_text('[{"subject": "Spain", "prompt": "France is", "attribute": "a place"}]')
    assert "does not occur in its prompt" in traced(*ASK).err
    assert traced("trace", "--model", "./model").code == 2
    assert not (tmp_path / "docs").exists()
