"""The wheel as a user has it: built, put into an empty directory, and used without the repository beside it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kbsync.config import shipped_config
from tests.support.built_wheel import build_wheel
from tests.support.paths import ROOT

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
    tracked = subprocess.run(["git", "ls-files", "kbsync"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    package = tracked or [p.relative_to(ROOT).as_posix() for p in (ROOT / "kbsync").rglob("*.py")]
    assert set(package) <= names
    assert not [n for n in names if not n.startswith(("kbsync/", "kbsync-")) or "__pycache__" in n]


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


EXTRAS = {"kbsync.web": {"starlette", "uvicorn"}, "kbsync.testing": {"pytest", "hypothesis"}}
"""Rooms that an extra is for, and its packages, which their modules may need as they are imported."""

LOOK = """
import importlib, json, pkgutil
import kbsync
failed = {}
for module in pkgutil.walk_packages(kbsync.__path__, "kbsync."):
    if module.name.startswith("kbsync.share"):
        continue
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        failed[module.name] = error.name
print(json.dumps(failed))
"""


def base_install() -> dict[str, Distribution]:
    """What a base install brings, by name: the requirements of kbsync without extras, theirs, and so on."""
    waiting, brought = ["kbsync"], dict[str, Distribution]()
    while waiting:
        name = waiting.pop()
        try:
            found = distribution(name)
        except PackageNotFoundError:  # for another system or Python
            continue
        if name not in brought:
            brought[name] = found
            for requirement in map(Requirement, found.requires or []):
                if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                    waiting.append(canonicalize_name(requirement.name))
    return brought


@pytest.fixture
def base_packages(tmp_path: Path) -> Path:
    """A directory with links to the packages of a base install, and to nothing else."""
    directory = tmp_path / "base"
    directory.mkdir()
    for name, found in base_install().items():
        tops = {Path(str(file)).parts[0] for file in found.files or []} - {"..", "__pycache__"}
        for top in tops if name != "kbsync" else ():
            source = Path(str(found.locate_file(top)))
            if source.exists() and not (directory / top).exists():
                (directory / top).symlink_to(source)
    return directory


def test_every_module_that_it_ships_can_be_imported_without_extras(
    site_packages: Path, base_packages: Path, tmp_path: Path
) -> None:
    assert (base_packages / "torch").exists() and not (base_packages / "starlette").exists()
    command = [sys.executable, "-S", "-P", "-c", LOOK]
    printed = run(command, tmp_path, PYTHONPATH=f"{site_packages}{os.pathsep}{base_packages}")
    failed: dict[str, str] = json.loads(printed.splitlines()[-1])
    allowed = {m: p for m, p in failed.items() if p in EXTRAS.get(".".join(m.split(".")[:2]), set())}
    assert failed == allowed
