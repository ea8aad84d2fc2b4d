"""The wheel as a user has it: built, put into an empty directory, and used without the repository beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from kbsync.config import shipped_config
from tests.support.built_wheel import ROOT, build_wheel

AGENT = "kbsync tests (mailto:tests@kbsync.invalid)"


def run(command: Sequence[str], cwd: Path, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("KBSYNC_", "PYTHON"))}
    done = subprocess.run(
        command, cwd=cwd, env=kept | environment, capture_output=True, text=True, timeout=200, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site_packages(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(target)]
    run([*pip, str(wheel)], target)
    return target


def test_it_holds_what_the_repository_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert {f"kbsync/share/config/{name}" for name in shipped_config()} <= names
    migrations = {p.relative_to(ROOT).as_posix() for p in (ROOT / "migrations").rglob("*.py")}
    assert {f"kbsync/share/{name}" for name in migrations} <= names
    package = ROOT / "kbsync"
    shipped = {"py.typed", "demo/data/*", "evaluation/data/*", "service/web/templates/*", "service/web/static/*"}
    data = {p.relative_to(ROOT).as_posix() for pattern in shipped for p in package.glob(pattern) if p.is_file()}
    modules = {p.relative_to(ROOT).as_posix() for p in package.rglob("*.py")}
    assert data | modules <= names
    assert not [n for n in names if n.startswith("tests/") or "__pycache__" in n]


def test_a_new_user_gets_a_ledger_and_a_status(site_packages: Path, tmp_path: Path) -> None:
    def kbsync(*arguments: str) -> str:
        # -P and the empty directory keep the checkout out; PYTHONPATH comes before the environment's own kbsync.
        return run([sys.executable, "-P", "-m", "kbsync", *arguments], tmp_path, PYTHONPATH=str(site_packages))

    where = run(
        [sys.executable, "-P", "-c", "import kbsync; print(kbsync.__file__)"], tmp_path, PYTHONPATH=str(site_packages)
    )
    assert Path(where.strip()).is_relative_to(site_packages)

    kbsync("init", "--user-agent", AGENT, "--model", "example/model")
    written = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*.toml")}
    assert written == set(shipped_config())
    assert "# A line that is commented out shows the default." in (tmp_path / "kbsync.toml").read_text(encoding="utf-8")
    (tmp_path / "var" / "kbsync" / "ledger.sqlite3").unlink()
    assert "upgraded" in kbsync("db", "upgrade")
    status = json.loads(kbsync("status", "--json"))
    assert status["current"] is None
    assert len(status["relations"]) == sum(name.startswith("relations/") for name in shipped_config())
    assert "sound" in kbsync("db", "check")
