"""The lock files hold what constraints.txt pins, and the bill of materials what is installed."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

from docs.generate.supply_chain import LOCKS, UNLOCKED, bill, closure, entries
from tests.support.paths import ROOT

LOCKED = {file: entries((ROOT / file).read_text(encoding="utf-8")) for file in LOCKS}
SAFE = {"torch": "2.10", "starlette": "1.3.1", "jinja2": "3.1.6"}
"""By package, the first version without the advisories that are known of it (CVE-2026-24747; CVE-2026-48710 and
CVE-2026-54283; CVE-2025-27516)."""


def test_every_pinned_version_is_locked_with_hashes() -> None:
    pinned = entries((ROOT / "constraints.txt").read_text(encoding="utf-8"))
    assert len(pinned) > 100
    locked = LOCKED["requirements.lock"] | LOCKED["requirements-dev.lock"]
    assert locked.keys() == pinned.keys() - UNLOCKED, "run `make lock`"
    assert not LOCKED["requirements.lock"].keys() & LOCKED["requirements-dev.lock"].keys()
    for name, entry in (*locked.items(), *LOCKED["requirements-build.lock"].items()):
        assert entry.split()[0].partition("==")[2] == pinned[name].strip().partition("==")[2], (
            f"{name}: run `make lock`"
        )
        assert re.fullmatch(r"\S+ \\\n(    --hash=sha256:[0-9a-f]{64}( \\)?\n)+", entry), name


def test_an_installation_is_locked_as_a_whole() -> None:
    assert closure("kbsync") - UNLOCKED - {"kbsync"} <= LOCKED["requirements.lock"].keys()
    assert closure("hatchling") == LOCKED["requirements-build.lock"].keys()


@pytest.mark.slow
def test_a_file_with_another_hash_is_not_installed(tmp_path: Path) -> None:
    """pip itself, on a wheel of our own."""
    wheel = tmp_path / "wheels" / "kbsynctest_a-1.0-py3-none-any.whl"
    wheel.parent.mkdir()
    wheel.write_bytes(b"not what was locked")
    (tmp_path / "requirements.lock").write_text(f"kbsynctest-a==1.0 --hash=sha256:{'0' * 64}\n")
    command = [sys.executable, "-m", "pip", "install", "--isolated", "--no-index", "--find-links", str(wheel.parent)]
    locked = ["--no-deps", "--require-hashes", "--requirement", "requirements.lock", "--target", "there"]
    done = subprocess.run([*command, *locked], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode and "DO NOT MATCH THE HASHES" in done.stderr


def test_lower_bounds_are_past_known_advisories() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    every = [*project["dependencies"], *(need for extra in project["optional-dependencies"].values() for need in extra)]
    for need in map(Requirement, every):
        if safe := SAFE.get(need.name.lower()):
            lowest = next(s.version for s in need.specifier if s.operator == ">=")
            assert Version(lowest) >= Version(safe), need


@pytest.mark.parametrize("file", ["Dockerfile", "compose.yaml"])
def test_images_are_named_by_their_digests(file: str) -> None:
    text = (ROOT / "deploy" / file).read_text(encoding="utf-8")
    images = re.findall(r"^(?:ARG PYTHON_IMAGE=|\s+image: )(\S+)", text, re.MULTILINE)
    assert images
    for image in images:
        assert image == "kbsync:local" or re.search(r":\S+@sha256:[0-9a-f]{64}$", image), image


@pytest.mark.slow
def test_the_bill_of_materials_names_what_is_installed() -> None:
    made = bill()
    assert (made["bomFormat"], made["specVersion"]) == ("CycloneDX", "1.6")
    parts = {part["name"]: part for part in made["components"]}
    assert len(parts) == len(made["components"])
    assert parts["sqlalchemy"]["version"] == importlib.metadata.version("sqlalchemy")
    assert parts["sqlalchemy"]["purl"] == f"pkg:pypi/sqlalchemy@{parts['sqlalchemy']['version']}"
    assert [parts[name]["scope"] for name in ("sqlalchemy", "starlette", "pytest")] == [
        "required",
        "optional",
        "excluded",
    ]
    assert parts["sqlalchemy"]["licenses"] == [{"license": {"name": "MIT"}}]
    digests = parts["sqlalchemy"]["externalReferences"][0]["hashes"]
    assert all(
        d["alg"] == "SHA-256" and f"sha256:{d['content']}" in LOCKED["requirements.lock"]["sqlalchemy"] for d in digests
    )
    known = {part["bom-ref"] for part in made["components"]}
    needs = {entry["ref"]: set(entry["dependsOn"]) for entry in made["dependencies"]}
    assert needs.keys() == known | {made["metadata"]["component"]["bom-ref"]}
    assert all(needed <= known for needed in needs.values())
    weights = [part for name, part in parts.items() if name.startswith("gemma3-270m")]
    assert all("Gemma Terms" in part["licenses"][0]["license"]["name"] for part in weights)
