"""Research commands over a small random Llama, with real MEMIT, and files of records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.bench_records import flattened, write
from tests.support.cli import Cli
from tests.support.families import random_model, texts, tokenizer
from tests.support.world_app import MAIN, write_configuration

RECIPE = "layers = [1, 2]\ncovariance_tokens = 900\nsteps = 3\ncontext_count = 0\ncovariance_weight = 10.0\n"
SMALL = ("--part", "all", "--answer-tokens", "2")


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


def figure(document: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (f for f in document["figures"] if f["name"] == name)
    return dict(found)
