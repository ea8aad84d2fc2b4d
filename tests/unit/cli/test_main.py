"""The command line as a whole: the verbs in turn, and what each says when it is not its turn."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kbsync.cli.main import VERBS
from kbsync.ports import Work
from kbsync.stages.session import Run, puller, writer
from tests.support.cli import Cli
from tests.support.invoke import invoke
from tests.support.stage_world import TTL, World

STEPS = ("pull", "probe", "plan", "edit", "evaluate", "promote 1")
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
    "check-served",
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
    "audit accept",
    "lease break",
    "daemon",
    "serve",
    "switch",
    "db upgrade",
    "db check",
    "db backup",
    "db restore",
    "stats build",
    "trace",
    "trace relations",
    "images sync",
    "images draw",
    "recipe tune",
    "doctor",
    "demo",
    "fact approve",
    "fact pin",
    "fact exclude",
    "fact clear",
    "facts export",
    "bench counterfact",
    "bench zsre",
    "bench scaling",
    "bench covariance",
    "bench capacity",
    "bench refinement",
    "bench mend",
    "bench phrasings",
    "bench consequences",
    "bench auto",
    "bench scale-out",
    "bench verdicts",
    "bench alternatives",
]


@pytest.mark.slow
def test_the_verbs_in_turn_make_a_version_and_each_may_be_run_again(cli: Cli) -> None:
    for step in STEPS:
        first, again = cli.good(*step.split()), cli.good(*step.split())
        assert "already" not in first.out, step
        assert "already" in again.out, step
    assert cli.good("status", "--json").json["current"]["number"] == 1


@pytest.mark.slow
def test_each_stage_says_what_it_needs(cli: Cli) -> None:
    assert cli("edit").code == 66
    assert "kbsync plan" in cli("edit").err
    assert cli("evaluate").code == 66
    assert cli("promote", "7").code == 66
    assert cli("rollback").code == 66
    cli.good("pull")
    refused = cli("plan")
    assert refused.code == 1 and "kbsync probe" in refused.err


@pytest.mark.slow
def test_whoever_comes_second_is_told_who_is_first(cli: Cli) -> None:
    world: World = cli.world
    with writer(Run(ledger=world.ledger, clock=world.clock, work=Work(), actor="somebody"), TTL):
        for step in ("probe", "plan", "edit", "evaluate", "promote 1", "rollback", "sync"):
            busy = cli(*step.split())
            assert busy.code == 75, step
            assert "somebody" in busy.err and busy.out == ""
        assert cli("status").code == 0
        assert cli("pull").code == 0, "a pull has a lease of its own"
    with puller(Run(ledger=world.ledger, clock=world.clock, work=Work(), actor="somebody"), TTL):
        busy = cli("pull")
        assert busy.code == 75 and "somebody" in busy.err
    assert cli("pull", "--relation", "capital").code == 0
    assert cli("pull", "--relation", "capitol").code == 66


def test_all_commands_are_there() -> None:
    assert sorted(verb.name for verb in VERBS) == sorted(PROMISED)


def test_root_help_has_an_example_and_the_exit_codes() -> None:
    result = invoke(["--help"])
    assert "Example" in result.stdout and "Exit codes" in result.stdout


@pytest.mark.slow
def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['kbsync', '--help']\n"
        "from kbsync.cli.main import run\n"
        "try: run()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'transformers', 'sqlalchemy', 'SPARQLWrapper', 'apscheduler', 'structlog'} & "
        "set(sys.modules)\n"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("arguments", [["nonsense"], ["promote"], ["promote", "one"], ["--colour", "status"]])
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    result = invoke(arguments)
    assert result.exit_code == 2
    assert "Usage: kbsync" in result.stderr


@pytest.mark.slow
def test_the_module_is_the_script() -> None:
    done = subprocess.run([sys.executable, "-m", "kbsync", "--version"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()[0]) == (0, "kbsync")


@pytest.mark.slow
def test_the_shell_completes_verbs() -> None:
    environment = os.environ | {"COMP_WORDS": "kbsync ro", "COMP_CWORD": "1", "_KBSYNC_COMPLETE": "complete_bash"}
    script = Path(sys.executable).with_name("kbsync")
    done = subprocess.run([str(script)], capture_output=True, text=True, timeout=60, env=environment, check=False)
    assert done.stdout.split() == ["rollback"]
