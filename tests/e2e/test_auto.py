"""`kbsync init` and `kbsync sync` lead to a promoted version, and nobody names a number of the recipe."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from kbsync.wikidata.local import OxigraphServer
from tests.support.installation import write_site
from tests.support.invoke import invoke

AGENT = "kbsync tests (mailto:tests@kbsync.invalid)"
GATE = """
[[thresholds]]
metric = "efficacy"
at_least = 0.9
[[thresholds]]
metric = "specificity"
at_least = 0.8
"""
"""For a world of 28 facts; the shipped gate asks for 50 samples of the specificity."""


def run(*arguments: str) -> Any:
    done = invoke([*arguments, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def killed_in_the_search(place: Path) -> None:
    """Start a sync as a process of its own, and kill it when the first target vector is kept."""
    command = [sys.executable, "-m", "kbsync", "sync"]
    process = subprocess.Popen(command, cwd=place, env=os.environ | {"OMP_NUM_THREADS": "1"}, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(place.glob("var/kbsync/artifacts/targets/*/*")):
        assert process.poll() is None, "the cycle ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()


def test_two_commands_and_a_kill_lead_to_a_promoted_version(
    tmp_path: Path, believer: Path, world: OxigraphServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = write_site(tmp_path / "theirs", believer, world.endpoint, None).parent
    place = tmp_path / "mine"
    place.mkdir()
    monkeypatch.chdir(place)
    run("init", "--user-agent", AGENT, "--model", str(believer), "--endpoint", world.endpoint)
    settings = place / "kbsync.toml"
    shutil.rmtree(place / "relations")
    shutil.copytree(theirs / "relations", place / "relations")
    (place / "gate.toml").write_text(GATE)
    changes = {
        "# corpus = []": f'corpus = ["{theirs / "corpus.txt"}"]',
        '# budget = "20m"': 'budget = "1s"',
    }
    for old, new in changes.items():
        assert old in settings.read_text()
        settings.write_text(settings.read_text().replace(old, new))

    killed_in_the_search(place)
    assert not list(place.glob("recipes/auto-*"))
    done = run("sync")
    assert done["outcome"] == "promoted"
    (found,) = place.glob("recipes/auto-*.toml")
    assert done["recipe"]["file"] == str(found)
    again = run("recipe", "tune", "--units", str(done["recipe"]["units"]))
    assert again["score"] == done["recipe"]["score"]
    assert run("sync")["outcome"] == "nothing to do", "the same work gives the same recipe"
    told = {check["name"]: check["detail"] for check in run("doctor")["checks"]}
    assert "development facts" in told["recipe"]
    run("audit", "verify")
