"""Everything that people get wrong: the exit code tells which kind, the message where, and what to do next."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.invoke import invoke
from tests.support.sqlite_ledger import empty_ledger
from tests.support.world_app import MAIN, write_configuration

T5 = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "is_encoder_decoder": True}


def edit(file: Path, old: str, new: str) -> None:
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def wrong_property(root: Path) -> None:
    edit(root / "relations/capital.toml", '"P36"', '"capital"')


def no_place_for_the_subject(root: Path) -> None:
    edit(root / "relations/capital.toml", "The capital of {} is", "The capital is")


def no_label(root: Path) -> None:
    edit(root / "relations/capital.toml", 'label = "capital"\n', "")


def no_such_model(root: Path) -> None:
    edit(root / "kbsync.toml", 'reference = "table"', f'reference = "{root}/no-such-model"')


def no_causal_model(root: Path) -> None:
    (root / "t5").mkdir()
    (root / "t5" / "config.json").write_text(json.dumps(T5), encoding="utf-8")
    edit(root / "kbsync.toml", 'reference = "table"', f'reference = "{root}/t5"')


def newer_ledger(root: Path) -> None:
    with sqlite3.connect(root / "state" / "ledger.sqlite3") as raw:
        raw.execute("UPDATE kbsync_version SET version_num = '9999'")


def no_ledger(root: Path) -> None:
    (root / "state" / "ledger.sqlite3").unlink()


def state_below_a_file(root: Path) -> None:
    (root / "file").touch()
    edit(root / "kbsync.toml", 'state_dir = "state"', 'state_dir = "file/state"')


def ledger_that_is_none(root: Path) -> None:
    (root / "state" / "ledger.sqlite3").write_text("not a database " * 100, encoding="utf-8")


def nothing(root: Path) -> None:
    """The endpoint of the configuration is a port where nobody listens."""


@pytest.mark.parametrize(
    ("spoil", "command", "code", "says"),
    [
        (nothing, "pull", 69, ["http://127.0.0.1:9/sparql", "network"]),
        (wrong_property, "status", 78, ["relations/capital.toml:", "property", "'capital'", "run again"]),
        (
            no_place_for_the_subject,
            "status",
            78,
            ["relations/capital.toml:7: phrasings.edit.statement[0]", "{} exactly once"],
        ),
        (no_label, "status", 78, ["relations/capital.toml: label: is missing"]),
        (no_such_model, "probe", 65, ["no-such-model"]),
        (no_causal_model, "probe", 65, ["t5"]),
        (newer_ledger, "status", 78, ["schema 9999", "Upgrade kbsync"]),
        (newer_ledger, "db upgrade", 78, ["schema 9999", "Upgrade kbsync"]),
        (no_ledger, "status", 78, ["There is no ledger", "kbsync db upgrade"]),
        (state_below_a_file, "init", 74, ["file/state", "kbsync doctor"]),
        (ledger_that_is_none, "status", 74, ["ledger.sqlite3", "configured path"]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_names_the_place_and_the_next_step(
    tmp_path: Path, spoil: Callable[[Path], None], command: str, code: int, says: list[str]
) -> None:
    config = write_configuration(tmp_path)
    empty_ledger(tmp_path / "state" / "ledger.sqlite3")
    spoil(tmp_path)
    arguments = ["--config", str(config), *command.split()]
    result = invoke(arguments)
    assert result.exit_code == code, result.stderr
    assert result.stdout == "" or command == "init"
    assert "Traceback" not in result.stderr
    for words in says:
        assert words in result.stderr


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    config = write_configuration(tmp_path, MAIN.replace("kbsync tests (mailto:tests@kbsync.invalid)", "anonymous"))
    wrong_property(tmp_path)
    edit(tmp_path / "relations/head-of-government.toml", "cardinality", "cardinalty")
    edit(tmp_path / "recipes/table.toml", "[1, 2]", "[2, 1]")
    result = invoke(["--config", str(config), "sync"])
    assert result.exit_code == 78
    for words in (
        "user_agent",
        "capital.toml:1: property",
        "did you mean 'cardinality'",
        "table.toml: layers",
        "4 mistakes",
    ):
        assert words in result.stderr


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    result = invoke(["--config", str(tmp_path / "none.toml"), "status"])
    assert result.exit_code == 78
    assert "none.toml" in result.stderr


def test_a_real_process_ends_with_the_code_and_prints_errors_on_stderr_only(tmp_path: Path) -> None:
    config = write_configuration(tmp_path)
    no_label(tmp_path)
    command = [sys.executable, "-m", "kbsync", "--config", str(config), "status", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout) == (78, "")
    assert "label: is missing" in done.stderr


@pytest.mark.slow
def test_a_traceback_is_there_for_those_who_ask(tmp_path: Path) -> None:
    config = write_configuration(tmp_path)
    command = [sys.executable, "-m", "kbsync", "--config", str(config), "db", "check"]
    environment = os.environ | {"KBSYNC_DEBUG": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 1
    assert "Traceback" in done.stderr and "StoreError" in done.stderr
