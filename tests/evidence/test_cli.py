"""The command line of the evidence: every command and example parses, and its exit code says whether the demands
hold."""

from __future__ import annotations

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer

from kbsync.cli.command import Verb
from kbsync.cli.main import build
from kbsync.operations.evidence import Figure, at_most, evidence
from tests.evidence.cli import PROGRAM, VERBS
from tests.evidence.cli.conclude import conclude
from tests.support.evidence_cli import run
from tests.support.paths import ROOT


def document(*figures: Figure) -> dict[str, Any]:
    return evidence(f"{PROGRAM} pull", figures, seed=0, started=datetime(2026, 1, 1, tzinfo=UTC), seconds=1.0)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_every_example_parses_and_every_command_has_help(verb: Verb) -> None:
    command = typer.main.get_command(build(VERBS)).commands[verb.name]  # type: ignore[attr-defined]
    assert verb.examples
    for line in verb.examples:
        assert line.startswith(f"{PROGRAM} {verb.name}")
        words = shlex.split(line.removeprefix(f"{PROGRAM} {verb.name}"))
        assert command.make_context(verb.name, words).params is not None
    assert verb.summary in " ".join(run(verb.name, "--help").stdout.split())


def test_a_demand_that_does_not_hold_ends_with_code_1_and_the_evidence_is_written_all_the_same(tmp_path: Path) -> None:
    output = tmp_path / "results" / "a.json"
    conclude(document(at_most("damaged", 0, "files", 0), Figure("seconds", 1.5, "s")), output, json=False)
    with pytest.raises(typer.Exit) as ended:
        conclude(document(at_most("damaged", 1, "files", 0)), output, json=False)
    assert ended.value.exit_code == 1
    assert json.loads(output.read_text(encoding="utf-8"))["figures"][0]["holds"] is False


def test_an_unknown_database_or_suite_is_wrong_usage() -> None:
    assert "sqlite or postgresql" in run("crash", "--backend", "mysql", code=2).stderr
    assert "there is no suite 'sleep'" in run("speed", "--suite", "sleep", code=2).stderr


def test_the_makefile_has_a_target_for_each_trial() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for name in ("soak", "sabotage", "crash", "contention", "hardening", "newcomer"):
        assert f"\n{name}: $(VENV)/.installed ## " in makefile
        assert re.search(rf"{PROGRAM.removeprefix('python ')}[ .]{name}\b", makefile)
