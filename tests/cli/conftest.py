"""The command line over the small world of the stages: real configuration files, real ledger, fake source and model."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
from stage_world import RELATIONS, World, make_world
from typer.testing import CliRunner

from kbsync.cli.main import build
from kbsync.ledger import schema
from kbsync.ledger.ledger import SqlLedger

MAIN = """
state_dir = "state"
[source]
user_agent = "kbsync tests (mailto:tests@kbsync.invalid)"
endpoint = "http://127.0.0.1:9/sparql"
attempts = 1
[model]
reference = "table"
[edit]
recipe = "table"
[log]
format = "json"
[[gate.thresholds]]
metric = "efficacy"
at_least = 0.9
[[gate.thresholds]]
metric = "specificity"
at_least = 0.9
"""


def write_configuration(directory: Path, main: str = MAIN) -> Path:
    """The world's relations and recipe as files, with ``main`` as the main file."""
    files = {"kbsync.toml": main, "recipes/table.toml": "layers = [1, 2]\n"}
    for relation in RELATIONS:
        lines = [
            f"property = {json.dumps(relation.property)}",
            f"label = {json.dumps(relation.label)}",
            f"templates = {json.dumps(relation.templates)}",
            f"cardinality = {json.dumps(relation.cardinality)}",
            f"subjects = {json.dumps(relation.subjects)}",
        ]
        files[f"relations/{relation.name}.toml"] = "\n".join(lines) + "\n"
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory / "kbsync.toml"


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Cli:
    """``cli("status", "--json")`` runs a command in this process."""

    config: Path
    world: World

    def __call__(self, *arguments: str, root: Sequence[str] = ()) -> Result:
        command = ["--config", str(self.config), *root, *arguments]
        result = CliRunner().invoke(build(), command, prog_name="kbsync", catch_exceptions=False)
        return Result(result.exit_code, result.stdout, result.stderr)

    def good(self, *arguments: str) -> Result:
        result = self(*arguments)
        assert result.code == 0, result
        return result


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [n for n in os.environ if n.upper().startswith("KBSYNC_")]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    yield
    structlog.reset_defaults()


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cli]:
    config = write_configuration(tmp_path)
    url = f"sqlite:///{tmp_path / 'state' / 'ledger.sqlite3'}"
    schema.upgrade(url)
    ledger = SqlLedger(url)
    world = make_world(ledger)
    monkeypatch.setattr("kbsync.bootstrap.App", app_of(world))
    yield Cli(config, world)
    ledger.close()


def app_of(world: World) -> Callable[..., Any]:
    """The application with the world's source, model, editor, store and clock in place of the real ones."""
    from kbsync.bootstrap import App

    class WorldApp(App):
        source = world.source
        base = world.base
        store = world.store

        def __init__(self, configuration: Any, **more: Any) -> None:
            super().__init__(configuration, **more | {"clock": world.clock})
            self.held_out = ["some held out text"]

        def editor(self) -> Any:
            return world.editor

    return WorldApp
