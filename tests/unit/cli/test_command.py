"""Every command has help worth reading, and the reference says what the commands say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from docs.generate.cli_reference import reference
from kbsync.cli.command import EXIT_CODES, Verb
from kbsync.cli.main import VERBS, build
from tests.support.paths import ROOT

PROMISED = [
    "init",
    "pull",
    "probe",
    "notify",
    "plan",
    "edit",
    "evaluate",
    "report",
    "promote",
    "release",
    "rollback",
    "canary",
    "sync",
    "status",
    "versions",
    "explain",
    "ask",
    "diff",
    "blame",
    "export",
    "rebuild",
    "verify",
    "gc",
    "audit log",
    "audit verify",
    "daemon",
    "serve",
    "db upgrade",
    "db check",
    "db backup",
    "db restore",
    "stats build",
    "trace",
    "recipe tune",
    "doctor",
    "demo",
    "fact approve",
    "fact pin",
    "fact exclude",
    "fact clear",
    "bench counterfact",
    "bench zsre",
    "bench scaling",
    "bench covariance",
    "bench capacity",
]


def test_all_commands_are_there() -> None:
    assert sorted(verb.name for verb in VERBS) == sorted(PROMISED)


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_help_has_an_example_and_the_exit_codes(verb: Verb) -> None:
    result = CliRunner().invoke(build(), [*verb.name.split(), "--help"], prog_name="kbsync")
    assert result.exit_code == 0
    assert "Example" in result.stdout and "Exit codes" in result.stdout
    assert all(f"{code:>2}  {EXIT_CODES[code]}" in result.stdout for code in verb.exits)
    assert all("kbsync" in example and verb.name.split()[-1] in example for example in verb.examples)


def test_root_help_has_an_example_and_the_exit_codes() -> None:
    result = CliRunner().invoke(build(), ["--help"], prog_name="kbsync")
    assert "Example" in result.stdout and "Exit codes" in result.stdout


def test_the_reference_is_up_to_date() -> None:
    page = ROOT / "docs" / "reference" / "cli.md"
    assert page.read_text(encoding="utf-8") == reference(), (
        "run: python -m docs.generate.cli_reference > docs/reference/cli.md"
    )


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['kbsync', '--help']\n"
        "from kbsync.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'sqlalchemy', 'SPARQLWrapper', 'apscheduler', 'structlog'} & set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["promote"], ["promote", "one"], ["--colour", "status"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    result = CliRunner().invoke(build(), arguments, prog_name="kbsync")
    assert result.exit_code == 2
    assert "Usage: kbsync" in result.stderr


def test_the_module_is_the_script() -> None:
    done = subprocess.run([sys.executable, "-m", "kbsync", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()[0]) == (0, "kbsync")


def test_the_shell_completes_verbs() -> None:
    environment = os.environ | {"COMP_WORDS": "kbsync ro", "COMP_CWORD": "1", "_KBSYNC_COMPLETE": "complete_bash"}
    script = Path(sys.executable).with_name("kbsync")
    done = subprocess.run([str(script)], capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.stdout.split() == ["rollback"]
