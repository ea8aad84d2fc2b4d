"""A command line over a small model that is traced, and a file of facts that it knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import Cli
from tests.support.families import random_model, tokenizer
from tests.support.world_app import MAIN, write_configuration

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
