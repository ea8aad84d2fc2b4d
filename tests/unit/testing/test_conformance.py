"""The documented adapter passes its suite outside of this repository, and what is missing or broken is told."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

PAGE = ROOT / "docs" / "how-to" / "adapter.md"
CHECK = "if row is not None and sha256(row[1]).hexdigest() != row[0]:"


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The page's two code blocks as files."""
    adapter, proof = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "sqlite_artifacts.py").write_text(adapter, encoding="utf-8")
    (tmp_path / "test_sqlite_artifacts.py").write_text(proof, encoding="utf-8")
    return tmp_path


def run(directory: Path) -> str:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", str(directory)]
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False, timeout=120).stdout


def test_the_documented_adapter_passes(example: Path) -> None:
    assert re.search(r"^8 passed", run(example), re.MULTILINE)


def test_without_the_checksum_two_tests_fail_and_explain_themselves(example: Path) -> None:
    path = example / "sqlite_artifacts.py"
    adapter = path.read_text(encoding="utf-8")
    assert CHECK in adapter
    path.write_text(adapter.replace(CHECK, "if False:"), encoding="utf-8")
    told = run(example)
    assert re.search(r"^2 failed, 6 passed", told, re.MULTILINE)
    assert "assert b'rot' is None" in told, "pytest rewrites the suites' assertions"


def test_a_fixture_that_is_not_overridden_is_named(example: Path) -> None:
    proof = "from kbsync.testing.conformance import NotifierConformance\nclass TestMine(NotifierConformance): ..."
    (example / "test_sqlite_artifacts.py").write_text(proof, encoding="utf-8")
    assert "override the fixture `receiver`" in run(example)
