"""A site whose base answers everything with Oslo: it has four of seven facts wrong and knows three."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kbsync.model.quiet import quiet
from tests.support.families import random_model, tokenizer
from tests.support.site import MakeSite, Site, fact, seen

WRONG, KNOWN = (1, 2, 5, 6), (3, 4, 7)
"""Numbers of the subjects whose answer is Rome, and of those whose answer is Oslo."""


def oslo_model(directory: Path) -> Path:
    """A small Llama that answers everything with Oslo, until a change turns the first number of its states round: then
    with Rome. As it is, every embedding begins with one, and no layer writes there."""
    model = random_model("llama")
    model.config.max_position_embeddings = 512
    head = model.get_output_embeddings().weight.data
    oslo, rome = (tokenizer()(f"is {city}", add_special_tokens=False)["input_ids"][1] for city in ("Oslo", "Rome"))
    head.zero_()
    head[oslo, 0], head[rome, 0] = 1.0, -1.0
    model.get_input_embeddings().weight.data[:, 0] = 1.0
    for layer in model.model.layers:
        layer.self_attn.o_proj.weight.data[0] = 0.0
        layer.mlp.down_proj.weight.data[0] = 0.0
    with quiet():
        model.save_pretrained(directory)
        tokenizer().save_pretrained(directory)
    return directory


@pytest.fixture
def oslo_site(new_site: MakeSite, tmp_path: Path) -> Site:
    """A site with believed facts about which the base was never asked."""
    directory = tmp_path / "site"
    site = new_site(directory)
    model = oslo_model(directory / "oslo")
    lines = site.config.read_text().splitlines()
    lines = [f'reference = "{model}"' if line.startswith("reference") else line for line in lines]
    site.config.write_text("\n".join([*lines, 'held_out = ["corpus.txt"]', ""]))
    recipe = directory / "recipes" / "random.toml"
    recipe.write_text(recipe.read_text() + "guard_count = 10\n")
    with site.app() as app, app.ledger.write() as tx:
        facts = [fact(number, "Rome") for number in WRONG] + [fact(number, "Oslo") for number in KNOWN]
        seen(tx, facts, datetime.now(UTC))
    return site
