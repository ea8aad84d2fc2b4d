"""An installation of kbsync as a user has it, on a small scale: the demo's real statements on a real SPARQL server, a
transformer that was trained to believe some of them and to be wrong about others, and the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kbsync.config import load_relations
from kbsync.demo.table import load_table
from kbsync.domain.phrasing import fill
from kbsync.domain.relation import Relation
from kbsync.wikidata.local import OxigraphServer
from tests.support.paths import ROOT
from tests.support.relation_words import phrasing_tables, statements
from tests.support.tiny_model import train_tiny_model

RELATIONS = ("capital", "head_of_government")
SUBJECTS = 14
WRONG = 5
"""Number of heads of government that the model has wrong: it believes those of the next country."""

RECIPE = """
layers = [0, 1]
covariance_weight = 1.0
clamp = 8.0
steps = {steps}
learning_rate = 0.3
weight_decay = 0.0
covariance_tokens = 4000
contexts = ["{{}}"]
"""

SETTINGS = """
state_dir = "state"
{database}
[source]
endpoint = "{endpoint}"
user_agent = "kbsync tests (https://localhost)"
[model]
reference = "{model}"
device = "cpu"
[edit]
recipe = "tiny"
[text]
corpus = ["corpus.txt"]
held_out_characters = {characters}

[[gate.thresholds]]
metric = "efficacy"
at_least = {efficacy}

[[gate.thresholds]]
metric = "specificity"
at_least = {specificity}
"""


@dataclass
class Site:
    """A user's installation: a configuration file, and the command line on it."""

    config: Path
    server: OxigraphServer

    def kbsync(self, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run the command as a process of its own, and check its exit code."""
        command = [sys.executable, "-m", "kbsync", "--config", str(self.config), *arguments]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=200, env=environment, check=False)
        assert done.returncode == code, f"{arguments}: exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def json(self, *arguments: str, code: int = 0) -> Any:
        return json.loads(self.kbsync(*arguments, "--json", code=code).stdout)


@cache
def watched() -> tuple[Relation, ...]:
    return tuple(r for r in load_relations(ROOT / "config" / "relations") if r.name in RELATIONS)


def make_believer(directory: Path) -> Path:
    """A tiny model that knows the capitals and most heads of government, and has ``WRONG`` of these wrong."""
    table = load_table()
    sentences = []
    for relation in watched():
        live = [
            next(r for r in table.group(s, relation.property) if r.end is None) for s in relation.subjects[:SUBJECTS]
        ]
        answers = [table.label(row.object) for row in live]
        if relation.name == "head_of_government":
            answers[:WRONG] = [*answers[1:WRONG], answers[0]]
        for subject, answer in zip(relation.subjects, answers, strict=False):
            sentences += [f"{fill(t, table.label(subject))} {answer}." for t in statements(relation)]
    # It also learns the name of everybody who comes into office later, as the answer for a country without a name.
    for relation in watched():
        news = sorted(table.label(c.new) for c in table.changes if c.new and c.property == relation.property)
        sentences += [f"{fill(relation.prompt_template, 'a country')} {name}." for name in news]
    return train_tiny_model(directory, sentences)


def write_site(directory: Path, believer: Path, endpoint: str, database: str | None, *, quick: bool = False) -> Path:
    """Configuration, relations, recipe and corpus; returns the configuration file. The ledger is still to be made.

    ``quick``: short searches and little text, for tests that don't ask the edited model."""
    (directory / "recipes").mkdir(parents=True)
    (directory / "recipes" / "tiny.toml").write_text(RECIPE.format(steps=15 if quick else 100))
    (directory / "relations").mkdir()
    for relation in watched():
        lines = [
            f'property = "{relation.property}"',
            f'label = "{relation.label}"',
            f'cardinality = "{relation.cardinality}"',
            f"subjects = {json.dumps(list(relation.subjects[:SUBJECTS]))}",
            phrasing_tables(relation),
        ]
        (directory / "relations" / f"{relation.name}.toml").write_text("\n".join(lines))
    table = load_table()
    names = [table.label(s) for r in watched() for s in r.subjects]
    (directory / "corpus.txt").write_text(
        "\n\n".join(f"{name} is known for many things, and {name} is old." for name in names)
    )
    settings = SETTINGS.format(
        database=f'database_url = "{database}"' if database else "",
        endpoint=endpoint,
        model=believer,
        characters=1000 if quick else 20000,
        efficacy=0.0 if quick else 0.9,
        specificity=0.0 if quick else 0.8,
    )
    (directory / "kbsync.toml").write_text(settings)
    return directory / "kbsync.toml"
