"""The command line over the small world of the stages: real configuration files, real ledger, fake source and model."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog

from kbsync.ledger.ledger import SqlLedger
from tests.support.invoke import invoke
from tests.support.sqlite_ledger import empty_ledger
from tests.support.stage_world import World, make_world
from tests.support.world_app import app_of, write_configuration


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
        result = invoke(command)
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
    ledger = SqlLedger(empty_ledger(tmp_path / "state" / "ledger.sqlite3"))
    world = make_world(ledger)
    monkeypatch.setattr("kbsync.bootstrap.App", app_of(world))
    yield Cli(config, world)
    ledger.close()
