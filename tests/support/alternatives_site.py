"""A site whose base answers everything with Oslo: two facts of its version are written otherwise, others it knows."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from kbsync.model.quiet import quiet
from tests.support.families import random_model, tokenizer
from tests.support.site import GUARD, RELATION, MakeSite, Site, fact, seen

PHRASED = RELATION + 'phrasings.edit.question = ["What is the capital of {}?"]\n'
PHRASED += 'phrasings.held_out.question = ["Which city is the capital of {}?"]\n'
PHRASED += 'phrasings.held_out.dialogue = ["I am in {}. What is its capital?"]\n'


def oslo_model(directory: Path) -> Path:
    """A small Llama that answers everything with Oslo, until its last states turn round: then with Rome."""
    model = random_model("llama")
    head = model.get_output_embeddings().weight.data
    one, two = (tokenizer()(f"is {city}", add_special_tokens=False)["input_ids"][1] for city in ("Oslo", "Rome"))
    row = head[one].clone()
    head.zero_()
    head[one], head[two] = row, -row
    with quiet():
        model.save_pretrained(directory)
        tokenizer().save_pretrained(directory)
    return directory


@pytest.fixture
def oslo_site(new_site: MakeSite, tmp_path: Path) -> Site:
    """Version 1 holds two facts that end in Rome and a guard; two more facts end in Oslo, two in Rome."""
    directory = tmp_path / "site"
    site = new_site(directory)
    config, model = site.config.read_text(), oslo_model(directory / "oslo")
    one_token = f'reference = "{model}"\nbase_answer_tokens = 1'
    lines = [one_token if line.startswith("reference") else line for line in config.splitlines()]
    site.config.write_text("\n".join([*lines, 'held_out = ["corpus.txt"]', ""]))
    relation = directory / "relations" / "capital.toml"
    relation.write_text(relation.read_text().replace(RELATION, PHRASED))
    site.build(fact(1, "Rome"), fact(2, "Rome"), guards=[GUARD])
    with site.app() as app, app.ledger.write() as tx:
        others = [fact(3, "Oslo"), fact(4, "Oslo"), fact(5, "Rome"), fact(6, "Rome"), fact(7, "Oslo")]
        seen(tx, others, datetime.now(UTC))
    return site
