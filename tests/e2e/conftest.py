"""The whole system on a small scale: the demo's real statements on a real SPARQL server, a transformer that was
trained to believe some of them and to be wrong about others, and the command line as a user calls it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from e2e.installation import LEASE_SECONDS, Site
from postgres_server import shared
from tiny_model import train_tiny_model

from kbsync.config import load_relations
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.demo.table import load_table
from kbsync.domain.relation import Relation, fill
from kbsync.wikidata.local import OxigraphServer

ROOT = Path(__file__).parents[2]
RELATIONS = ("capital", "head_of_government")
SUBJECTS = 14
WRONG = 5
"""So many heads of government the model has wrong: it believes its neighbour's."""

RECIPE = """
layers = [0, 1]
covariance_weight = 1.0
clamp = 8.0
steps = 100
learning_rate = 0.3
weight_decay = 0.0
covariance_tokens = 4000
contexts = ["{}"]
"""

GATE = """
[[gate.thresholds]]
metric = "efficacy"
at_least = 0.9

[[gate.thresholds]]
metric = "specificity"
at_least = 0.8
"""


@pytest.fixture(scope="session")
def relations() -> tuple[Relation, ...]:
    return tuple(r for r in load_relations(ROOT / "config" / "relations") if r.name in RELATIONS)


@pytest.fixture(scope="session")
def believer(tmp_path_factory: pytest.TempPathFactory, relations: tuple[Relation, ...]) -> Path:
    """A tiny model that knows the capitals and most heads of government, and has ``WRONG`` of these wrong."""
    table = load_table()
    sentences = []
    for relation in relations:
        live = [
            next(r for r in table.group(s, relation.property) if r.end is None) for s in relation.subjects[:SUBJECTS]
        ]
        answers = [table.label(row.object) for row in live]
        if relation.name == "head_of_government":
            answers[:WRONG] = [*answers[1:WRONG], answers[0]]
        for subject, answer in zip(relation.subjects, answers, strict=False):
            sentences += [f"{fill(t, table.label(subject))} {answer}." for t in relation.templates]
    # It has heard of everybody whom the changes bring, of each as an answer for some country that it can't name.
    for relation in relations:
        news = sorted(table.label(c.new) for c in table.changes if c.new and c.property == relation.property)
        sentences += [f"{fill(relation.templates[0], 'a country')} {name}." for name in news]
    return train_tiny_model(tmp_path_factory.mktemp("believer"), sentences)


@pytest.fixture
def world() -> Iterator[OxigraphServer]:
    with OxigraphServer() as server:
        server.load(snapshot_turtle(datetime.now(UTC)))
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def site(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    believer: Path,
    relations: tuple[Relation, ...],
    world: OxigraphServer,
) -> Site:
    """A configured installation with its ledger made."""
    (tmp_path / "recipes").mkdir()
    (tmp_path / "recipes" / "tiny.toml").write_text(RECIPE)
    (tmp_path / "relations").mkdir()
    for relation in relations:
        lines = [
            f'property = "{relation.property}"',
            f'label = "{relation.label}"',
            f"templates = {json.dumps(list(relation.templates))}",
            f'cardinality = "{relation.cardinality}"',
            f"subjects = {json.dumps(list(relation.subjects[:SUBJECTS]))}",
        ]
        (tmp_path / "relations" / f"{relation.name}.toml").write_text("\n".join(lines))
    database = f'database_url = "{shared().database()}"' if request.param == "postgresql" else ""
    corpus = tmp_path / "corpus.txt"
    table = load_table()
    names = [table.label(s) for r in relations for s in r.subjects]
    corpus.write_text("\n\n".join(f"{name} is known for many things, and {name} is old." for name in names))
    config = tmp_path / "kbsync.toml"
    config.write_text(
        f"""
state_dir = "state"
{database}
[source]
endpoint = "{world.endpoint}"
user_agent = "kbsync tests (https://localhost)"
[model]
reference = "{believer}"
device = "cpu"
[edit]
recipe = "tiny"
[text]
corpus = ["corpus.txt"]
[lease]
ttl = "{LEASE_SECONDS}s"
{GATE}
"""
    )
    installed = Site(config, world)
    installed.kbsync("db", "upgrade")
    return installed
